/**
 * Who may do what: every call and every route, for every kind of caller, in a public repository
 * and in a private one. The tables say what is expected; nothing else that they do not say is open.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { GroupServiceService as Groups } from "#gen/pogo/v1/group.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { isPogoError } from "#core/errors.ts";
import { needOfCall, needOfRoute } from "#server/access/needs.ts";
import { routes } from "#server/web/listener.ts";
import type { Channel } from "#rpc/channel.ts";
import { makeCall, protocolCalls, type Method } from "../support/calls.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

/** What each call needs. */
const calls = {
  nobody: [
    "RepositoryService/ListRepositories",
    "UserService/LogIn",
    "UserService/RedeemInvite",
    "UserService/StartSso",
    "UserService/FinishSso",
    "UserService/StartBrowserSso",
    "UserService/FinishBrowserSso",
    "WorkloadService/ExchangeToken",
  ],
  user: ["AuthService/GetUser"],
  account: [
    "AuthService/CreateToken",
    "AuthService/ListTokens",
    "AuthService/RevokeToken",
    "RepositoryService/CreateRepository",
  ],
  root: [
    "AuditService/ListAuditEvents",
    "GroupService/AddGroupMember",
    "GroupService/CreateGroup",
    "GroupService/DeleteGroup",
    "GroupService/ListGroups",
    "GroupService/RemoveGroupMember",
    "StorageService/CollectGarbage",
    "StorageService/GetStoredObjects",
    "StorageService/MeasureUsage",
    "StorageService/Obliterate",
    "StorageService/Rebalance",
    "StorageService/SetQuota",
    "StorageService/TakeSnapshot",
    "StorageService/Verify",
    "UserService/CreateInvite",
    "UserService/CreateUser",
    "UserService/ListUsers",
    "UserService/UpdateUser",
  ],
  read: [
    "ArchiveService/GetArchive",
    "BookmarkService/ListBookmarks",
    "OperationService/ListOperations",
    "PullService/GetObjects",
    "PullService/GetTrees",
    "QueryService/GetChange",
    "QueryService/GetEntry",
    "QueryService/ListChanges",
    "QueryService/ListVersions",
    "RepositoryService/GetRepository",
    "RuleService/ListRules",
  ],
  write: [
    "BookmarkService/DeleteBookmark",
    "BookmarkService/SetBookmark",
    "ChangeService/DescribeChange",
    "ChangeService/RemoveChange",
    "HistoryService/DuplicateChanges",
    "HistoryService/RebaseChanges",
    "HistoryService/RevertChange",
    "HistoryService/SplitChange",
    "HistoryService/SquashChange",
    "MemberService/ListMembers",
    "MergeService/MergeChanges",
    "MergeService/SyncBookmark",
    "OperationService/RedoOperation",
    "OperationService/RestoreOperation",
    "OperationService/UndoOperation",
    "PushService/Commit",
    "PushService/FindMissing",
    "PushService/PutObjects",
    "PushService/PutTrees",
  ],
  maintain: [
    "RuleService/RemoveRule",
    "RuleService/SetRule",
    "SecretService/ListSecrets",
    "SecretService/RemoveSecret",
    "SecretService/SetSecret",
  ],
  admin: [
    "MemberService/CreateDeployToken",
    "MemberService/ListDeployTokens",
    "MemberService/RemoveMember",
    "MemberService/RevokeDeployToken",
    "MemberService/SetMember",
    "RepositoryService/AllowCaseCollisions",
    "RepositoryService/SetVisibility",
    "WorkloadService/ListTrusts",
    "WorkloadService/RemoveTrust",
    "WorkloadService/SetTrust",
  ],
  secrets: ["SecretService/GetSecret"],
};

/**
 * What becomes of a call of each kind, in the order of above, by caller: yes; no, which is
 * "denied"; or hide, which is "no such repository".
 */
const expected = `
                     anywhere           |public                       |private
                     any user acct root |read write maint admin secret|read write maint admin secret
nobody               yes no   no   no   |yes  no    no    no    no    |no   no    no    no    no
a stranger           yes yes  yes  no   |yes  no    no    no    no    |hide hide  hide  hide  hide
a reader             yes yes  yes  no   |yes  no    no    no    no    |yes  no    no    no    no
a writer             yes yes  yes  no   |yes  yes   no    no    no    |yes  yes   no    no    no
in a writing group   yes yes  yes  no   |yes  yes   no    no    no    |yes  yes   no    no    no
a maintainer         yes yes  yes  no   |yes  yes   yes   no    no    |yes  yes   yes   no    no
an admin             yes yes  yes  no   |yes  yes   yes   yes   yes   |yes  yes   yes   yes   yes
root                 yes yes  yes  yes  |yes  yes   yes   yes   yes   |yes  yes   yes   yes   yes
admin's read token   yes yes  no   no   |yes  no    no    no    no    |yes  no    no    no    no
admin's write token  yes yes  no   no   |yes  yes   no    no    no    |yes  yes   no    no    no
admin's token for it yes yes  no   no   |yes  yes   yes   yes   yes   |yes  yes   yes   yes   yes
admin's for another  yes yes  no   no   |yes  no    no    no    no    |hide hide  hide  hide  hide
root's write token   yes yes  no   no   |yes  yes   no    no    no    |yes  yes   no    no    no
root's for another   yes yes  no   no   |yes  no    no    no    no    |hide hide  hide  hide  hide
deploy token, read   yes yes  no   no   |yes  no    no    no    no    |yes  no    no    no    no
deploy token, write  yes yes  no   no   |yes  yes   no    no    no    |yes  yes   no    no    no
token for secrets    yes yes  no   no   |yes  no    no    no    yes   |yes  no    no    no    yes
deploy token, other  yes yes  no   no   |yes  no    no    no    no    |hide hide  hide  hide  hide
other's for secrets  yes yes  no   no   |yes  no    no    no    no    |hide hide  hide  hide  hide
an expired token     no  no   no   no   |no   no    no    no    no    |no   no    no    no    no
a revoked token      no  no   no   no   |no   no    no    no    no    |no   no    no    no    no
revoked deploy token no  no   no   no   |no   no    no    no    no    |no   no    no    no    no
a disabled admin     no  no   no   no   |no   no    no    no    no    |no   no    no    no    no
a made-up token      no  no   no   no   |no   no    no    no    no    |no   no    no    no    no
`;

/** How it begins when those who were let through are denied what they ask for. */
const otherwiseDenied = [
  "the invite",
  "this server has no directory",
  "this server does not believe",
  "the token is not one that",
];

type Kind = keyof typeof calls;
type Callers = Record<string, (repository: string) => Channel>;
const kinds = Object.keys(calls) as Kind[];
// Those that are about no repository.
const kindsAnywhere = 4;

test("every call of the protocol has a row, the one that is expected", async () => {
  const listed = new Map(
    Object.entries(calls).flatMap(([kind, names]) => names.map((name) => [name, kind])),
  );
  for (const [name, { path }] of await protocolCalls()) {
    expect([name, needOfCall(path)]).toEqual([name, listed.get(name)!]);
  }
  expect(() => needOfCall("/pogo.v1.PushService/Destroy")).toThrow("nobody has decided");
  expect(() => needOfCall("/pogo.v1.constructor")).toThrow("nobody has decided");
});

test("every route has a row, the one that is expected", () => {
  const decided = Object.keys(routes).map((path) => [path, needOfRoute(path)]);
  expect(decided).toEqual([
    ["/", "nobody"],
    ["/healthz", "nobody"],
    ["/{repository}/archive/{file}", "read"],
    ["/{repository}/objects/{hash}", "nobody"],
  ]);
});

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let callers: Callers;
  let methods: Map<string, Method>;
  beforeAll(async () => {
    methods = await protocolCalls();
    server = await startTestServer(engine, { keys: "test: passphrase of these tests" });
    callers = await makeCallers(server);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  // The embedded database is slow, and its decisions are made by the same code: all callers make
  // one call of each kind, and root makes every call.
  const isWhole = engine === engines[0];

  test.each(kinds)("a call that needs %s is answered to those who have it", async (kind) => {
    const names = calls[kind].filter((name) => methods.has(name));
    const wrong: string[] = [];
    for (const name of names) {
      const call: [string, Method] = [name, methods.get(name)!];
      const all = Object.entries(callers);
      const some = isWhole || name === names[0] ? all : all.filter(([who]) => who === "root");
      const asked = some.flatMap(([who, channelFor]) =>
        ["public", "private"].map(async (repository) => {
          const outcome = await outcomeOf(makeCall(channelFor(repository), call, repository));
          const want = expectation(who, kind, repository);
          if (outcome !== want)
            wrong.push(`${name}, ${repository}, ${who}: ${outcome}, not ${want}`);
        }),
      );
      await Promise.all(asked);
    }
    expect(wrong).toEqual([]);
  });

  test("a route that needs read is answered to those who have it", async () => {
    const wrong: string[] = [];
    const asked = Object.entries(callers).flatMap(([who, channelFor]) =>
      ["public", "private"].map(async (repository) => {
        const token = server.tokenOf(channelFor(repository));
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const url = `${server.server.url}/${repository}/archive/main.zip`;
        const { status } = await fetch(url, { headers });
        const outcome = { 200: "yes", 401: "no", 403: "no", 404: "hide" }[status];
        const want = expectation(who, "read", repository);
        if (outcome !== want) wrong.push(`${repository}, ${who}: ${status}, not ${want}`);
      }),
    );
    await Promise.all(asked);
    expect(wrong).toEqual([]);
  });

  test("a list of repositories has what one may read, and what one may do there", async () => {
    const list = async (who: string) => {
      const channel = callers[who]!("private");
      const { repositories } = await channel.unary(Repositories.listRepositories, { after: "p" });
      return repositories
        .filter(({ name }) => name === "public" || name === "private")
        .map(({ name, role, writable }) => `${name} ${role}${writable ? " writable" : ""}`.trim());
    };
    expect(await list("nobody")).toEqual(["public"]);
    expect(await list("a stranger")).toEqual(["public"]);
    expect(await list("a reader")).toEqual(["private read", "public read"]);
    expect(await list("in a writing group")).toEqual([
      "private write writable",
      "public write writable",
    ]);
    expect(await list("admin's read token")).toEqual(["private read", "public read"]);
    expect(await list("admin's for another")).toEqual(["public"]);
    expect(await list("deploy token, write")).toEqual(["private write writable", "public"]);
    expect(await refusal(list("a made-up token"))).toBe("denied");
  });
});

/** What the table says. */
function expectation(who: string, kind: Kind, repository: string): string {
  const row = expected.split("\n").find((line) => line.startsWith(who.padEnd(21)));
  const cells = row!.slice(21).replaceAll("|", " ").trim().split(/ +/);
  const column = kinds.indexOf(kind);
  const isHidden = column >= kindsAnywhere && repository !== "public";
  return cells[column + (isHidden ? kinds.length - kindsAnywhere : 0)]!;
}

/** Whether a call was let through: what came of it then is its own business. */
async function outcomeOf(call: Promise<void>): Promise<string> {
  try {
    await call;
    return "yes";
  } catch (error) {
    if (!isPogoError(error) || error.code === "internal") throw error;
    const isAboutOther = otherwiseDenied.some((text) => error.message.startsWith(text));
    if (error.code === "denied" && !isAboutOther) return "no";
    return error.message.startsWith("no repository is named") ? "hide" : "yes";
  }
}

async function makeCallers(server: TestServer): Promise<Callers> {
  const root = server.channel(testRootToken);
  const both = ["public", "private"];
  const creator = await server.user("creator");
  for (const name of [...both, "other"]) {
    const remote = await createRemote(creator, name, { public: name === "public" });
    const { change } = await publish(remote, { a: "one" });
    await remote.setBookmark("main", change!.name);
  }
  await root.unary(Groups.createGroup, { name: "writers" });
  const person = async (user: string, role?: string) => {
    const channel = await server.user(user);
    const member = { name: user, group: false, role: role ?? "" };
    if (!role) return channel;
    for (const repository of both) await creator.unary(Members.setMember, { repository, member });
    return channel;
  };
  const limited = async (by: Channel, limits: { scope?: string; repository?: string }) => {
    const request = { name: JSON.stringify(limits), expiresAt: 0, user: "", ...limits };
    return server.channel((await by.unary(Auth.createToken, request)).secret);
  };
  const deploy = async (repository: string, scope: string, readsSecrets = false) => {
    const name = `${scope}-${readsSecrets}`;
    const request = { repository, name, scope, expiresAt: 0, readsSecrets };
    const { secret } = await creator.unary(Members.createDeployToken, request);
    return server.channel(secret);
  };
  const each = async (make: (repository: string) => Promise<Channel>) => {
    const channels = { public: await make("public"), private: await make("private") };
    return (repository: string) => channels[repository as "public" | "private"];
  };
  const all = (channel: Channel) => () => channel;

  const grouped = await person("grouped");
  await root.unary(Groups.addGroupMember, { group: "writers", user: "grouped" });
  for (const repository of both) {
    const member = { name: "writers", group: true, role: "write" };
    await creator.unary(Members.setMember, { repository, member });
  }
  const admin = await person("admin", "admin");
  const callers: Callers = {
    nobody: all(server.channel()),
    "a stranger": all(await person("stranger")),
    "a reader": all(await person("reader", "read")),
    "a writer": all(await person("writer", "write")),
    "in a writing group": all(grouped),
    "a maintainer": all(await person("maintainer", "maintain")),
    "an admin": all(admin),
    root: all(root),
    "admin's read token": all(await limited(admin, { scope: "read" })),
    "admin's write token": all(await limited(admin, { scope: "write" })),
    "admin's token for it": await each((repository) => limited(admin, { repository })),
    "admin's for another": all(await limited(creator, { repository: "other" })),
    "root's write token": all(await limited(root, { scope: "write" })),
    "root's for another": all(await limited(root, { repository: "other" })),
    "deploy token, read": await each((repository) => deploy(repository, "read")),
    "deploy token, write": await each((repository) => deploy(repository, "write")),
    "token for secrets": await each((repository) => deploy(repository, "read", true)),
    "deploy token, other": all(await deploy("other", "write")),
    "other's for secrets": all(await deploy("other", "write", true)),
    ...(await makeInvalid(server, { root, creator, admin, person })),
  };
  return callers;
}

type People = {
  root: Channel;
  creator: Channel;
  admin: Channel;
  person: (user: string, role?: string) => Promise<Channel>;
};

async function makeInvalid(
  server: TestServer,
  { root, creator, admin, person }: People,
): Promise<Callers> {
  const expiresAt = Date.now() + 200;
  const brief = { name: "brief", expiresAt, user: "" };
  const expired = server.channel((await admin.unary(Auth.createToken, brief)).secret);
  const gone = { name: "gone", expiresAt: 0, user: "" };
  const revoked = server.channel((await admin.unary(Auth.createToken, gone)).secret);
  await admin.unary(Auth.revokeToken, { name: "gone" });
  const limits = { scope: "write", readsSecrets: true };
  const request = { repository: "private", name: "gone", expiresAt: 0, ...limits };
  const { secret } = await creator.unary(Members.createDeployToken, request);
  await creator.unary(Members.revokeDeployToken, { repository: "private", name: "gone" });
  const revokedDeploy = server.channel(secret);
  const disabled = await person("disabled", "admin");
  await root.unary(Users.updateUser, { name: "disabled", disabled: true });
  const made = server.channel("pogo_not-a-token-that-anybody-was-given");
  while (Date.now() <= expiresAt + 5) await admin.unary(Auth.getUser, {});
  return {
    "an expired token": () => expired,
    "a revoked token": () => revoked,
    "revoked deploy token": () => revokedDeploy,
    "a disabled admin": () => disabled,
    "a made-up token": () => made,
  };
}
