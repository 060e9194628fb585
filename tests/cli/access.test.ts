/** Who may do what, as people say it: users, invites, members, groups, tokens and rules. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { engines, startMs } from "../support/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { openScene, steady, type Person, type Scene } from "../support/scene.ts";
import { testRootToken } from "../support/server.ts";

setDefaultTimeout(startMs);

let scene: Scene;
let ann: Person;
let root: ReturnType<typeof openPogo>;
beforeAll(async () => {
  scene = await openScene(engines[0], { keys: "test: passphrase of these tests" });
  ann = await scene.person("ann");
  root = openPogo({ POGO_SERVER: scene.url, POGO_TOKEN: testRootToken });
});
afterAll(async () => {
  root[Symbol.dispose]();
  await scene[Symbol.asyncDispose]();
});

test("somebody who is invited logs in once by the invite, and is a user then", async () => {
  const invited = await root.run(["user", "invite", "carl"]);
  expect(invited.stderr).toContain(`: pogo login ${scene.url} --invite\n`);
  const invite = invited.stdout.trim();
  expect(invite).toMatch(/^pogoinvite_[0-9A-Za-z]{44}$/);

  using carl = openPogo();
  const login = ["login", scene.url, "--invite", "--token-stdin"];
  const nowhere = await carl.run(login, { stdin: invite });
  expect(nowhere.stderr).toContain("the system's keyring does not answer");
  const file = [...login, "--store", "file"];
  expect(await carl.ok(file, { stdin: invite })).toContain(`logged in to ${scene.url} as carl; `);
  expect(await carl.json(["whoami"])).toMatchObject({ user: "carl", token: { scope: "admin" } });
  const again = await carl.run(file, { stdin: invite });
  expect(again.stderr).toContain("the invite is not good, or no more");
  expect(again.exitCode).toBe(6);
  const asToken = await carl.run(["login", scene.url, "--token-stdin"], { stdin: invite });
  expect(asToken.stderr).toContain("this is an invite, not a token");

  expect(await root.ok(["user", "disable", "carl"])).toBe("carl is disabled\n");
  expect(await carl.run(["whoami"])).toMatchObject({ exitCode: 6 });
  expect(await root.ok(["user", "enable", "carl"])).toBe("carl is enabled\n");
  expect(await carl.run(["whoami"])).toMatchObject({ exitCode: 0 });
  expect(await carl.run(["user", "list"])).toMatchObject({ exitCode: 6 });
  const demoted = await root.run(["user", "demote", "root"]);
  expect(demoted.stderr).toContain("nobody but root administers the server");
  expect(demoted.exitCode).toBe(5);
  expect(await root.ok(["user", "list"])).toBe("ann\ncarl\nroot  administers the server\n");
});

test("members are set, listed and removed; a repository keeps one who administers it", async () => {
  const copy = await ann.init({ a: "1\n" });
  const { repository } = copy;
  await copy.ok("push", "-m", "first");
  const bob = await scene.person("bob");
  expect((await bob.run("clone", `${scene.url}/${repository}`)).exitCode).toBe(3);
  expect(await copy.ok("member", "set", repository, "bob", "read")).toBe(
    `bob has the role read in ${repository} now\n`,
  );
  const clone = await bob.clone(repository);
  clone.write({ a: "2\n" });
  const denied = await clone.fails("push");
  expect(denied).toMatchObject({
    code: "denied",
    message: `bob may not write to repository ${repository}`,
    hint: `whoever administers it may allow it: pogo member set ${repository} bob write`,
  });
  await root.ok(["group", "create", "artists"]);
  await root.ok(["group", "add", "artists", "bob"]);
  await copy.ok("member", "set", repository, "artists", "write", "--group");
  await clone.ok("push", "-m", "second");
  expect(await copy.ok("member", "list", repository)).toBe(
    "ann      admin\nbob      read\nartists  write (a group)\n",
  );
  expect(await root.ok(["group", "remove", "artists", "bob"])).toBe("in artists now: nobody\n");
  expect(await clone.fails("member", "list", repository)).toMatchObject({ code: "denied" });
  expect(await copy.fails("member", "remove", repository, "ann")).toMatchObject({
    code: "conflict",
    message: `nobody else administers ${repository}`,
  });
  expect(await copy.fails("member", "set", repository, "bob", "owner")).toMatchObject({
    code: "usage",
    hint: "one of read, write, maintain, admin",
  });
  await copy.ok("member", "remove", repository, "bob");
  expect(await clone.fails("log")).toMatchObject({ code: "not-found" });
  expect(await copy.ok("repo", "visibility", repository, "public")).toContain("anyone may read it");
  expect(await clone.ok("repo", "list")).toContain(`${repository}  public\n`);
  await clone.ok("log");
});

test("a deploy token is its repository's: it reads or writes that, and is revoked there", async () => {
  const copy = await ann.init({ a: "1\n" });
  const { repository } = copy;
  await copy.ok("push", "-m", "first");
  const created = await copy.json("token", "create", "ci", "--deploy", repository, "--days", "1");
  expect(created).toMatchObject({ name: "ci", scope: "read", repository });
  using ci = openPogo({ POGO_SERVER: scene.url, POGO_TOKEN: created.token });
  await ci.ok(["clone", `${scene.url}/${repository}`, "copy"]);
  expect(await ci.json(["whoami"])).toMatchObject({ user: `ci@${repository}` });
  expect(await ci.json(["repo", "list"])).toContainEqual(
    expect.objectContaining({ name: repository, role: "read" }),
  );
  expect((await ci.run(["token", "create", "more"])).stderr).toContain('the token "ci" is limited');
  expect(await copy.json("token", "list", "--deploy", repository)).toMatchObject([{ name: "ci" }]);
  expect(await copy.ok("token", "revoke", "ci", "--deploy", repository)).toBe("revoked ci\n");
  expect(await ci.run(["whoami"])).toMatchObject({ exitCode: 6 });
});

test("a secret's value comes from stdin, and is shown by nothing but pogo secret get", async () => {
  const copy = await ann.init();
  const { repository } = copy;
  const key = "-----BEGIN KEY-----\nhidden\n-----END KEY-----\n";
  const set = async (secret: string, value: string) => {
    const { stdout } = await copy.run(["secret", "set", secret, "--stdin"], { stdin: value });
    return stdout;
  };
  expect(await set("TOKEN", "hidden too\n")).toBe(`keeping TOKEN of ${repository}\n`);
  expect(await set("KEY", key)).toBe(`keeping KEY of ${repository}\n`);
  expect(await set("TOKEN", "hidden as well\r\n")).toBe(`replaced TOKEN of ${repository}\n`);
  const list = await copy.ok("secret", "list");
  const day = /\d{4}-\d\d-\d\d/g;
  expect(list.replaceAll(day, "DAY")).toBe("KEY    set DAY by ann\nTOKEN  set DAY by ann\n");
  expect(await copy.json("secret", "list")).toMatchObject([{ name: "KEY", setBy: "ann" }, {}]);
  expect(await copy.ok("secret", "get", "KEY")).toBe(key);
  expect(await copy.ok("secret", "get", "TOKEN")).toBe("hidden as well");
  expect(await copy.json("secret", "get", "TOKEN")).toEqual({
    name: "TOKEN",
    value: "hidden as well",
  });
  expect(await copy.fails("secret", "set", "TOKEN")).toMatchObject({
    code: "usage",
    hint: "pogo secret set TOKEN --stdin",
  });
  for (const words of [
    ["TOKEN=hidden", "--stdin"],
    ["TOKEN", "hidden"],
  ]) {
    const { exitCode, stderr } = await copy.run(["secret", "set", ...words]);
    expect([exitCode, stderr]).toEqual([2, expect.not.stringContaining("hidden")]);
  }

  const made = await copy.json("token", "create", "ci", "--deploy", repository, "--secrets");
  expect(made).toMatchObject({ scope: "read", repository, readsSecrets: true });
  using ci = openPogo({ POGO_SERVER: scene.url, POGO_TOKEN: made.token });
  const elsewhere = ["--repository", repository];
  expect(await ci.ok(["secret", "get", "TOKEN", ...elsewhere])).toBe("hidden as well");
  expect(await ci.run(["secret", "list", ...elsewhere])).toMatchObject({ exitCode: 6 });
  expect(await copy.ok("token", "list", "--deploy", repository)).toContain("and its secrets");
  expect(await copy.ok("secret", "rm", "TOKEN")).toBe(`removed TOKEN of ${repository}\n`);
  expect((await ci.run(["secret", "get", "TOKEN", ...elsewhere])).exitCode).toBe(3);
  expect(await root.ok(["admin", "audit"])).not.toContain("hidden");
});

test("rules for bookmarks are made, listed, held and removed", async () => {
  const copy = await ann.init({ a: "1\n" });
  await copy.commit("first");
  await copy.mark("main", "@-");
  expect(await copy.ok("bookmark", "protect", "main", "--role", "maintain")).toBe(
    "main: moved by who may maintain, forward only, never deleted\n",
  );
  await copy.ok("bookmark", "protect", "v*", "--immutable");
  expect(await copy.ok("bookmark", "rules")).toBe(
    "main  moved by who may maintain, forward only, never deleted\n" +
      "v*    moved by who may write, immutable\n",
  );
  const { message, hint } = await copy.fails("describe", "main", "-m", "other");
  expect(steady(message)).toBe(
    "bookmark main is protected: change change-1, where it is, is not rewritten",
  );
  expect(hint).toBe("see what holds: pogo bookmark rules");
  expect(await copy.fails("bookmark", "delete", "main")).toMatchObject({ code: "denied" });
  expect(await copy.ok("bookmark", "unprotect", "main")).toBe("removed the rule for main\n");
  await copy.ok("bookmark", "delete", "main");
});

test("the audit log says who did what, and who was refused", async () => {
  const events = (await root.json(["admin", "audit", "--user", "ann"])) as object[];
  expect(events).toContainEqual(
    expect.objectContaining({ action: "MemberService/SetMember", allowed: true, token: "test" }),
  );
  expect((await ann.run("admin", "audit")).exitCode).toBe(6);
  const [refused] = (await root.json(["admin", "audit", "-n", "1"])) as object[];
  expect(refused).toMatchObject({
    action: "AuditService/ListAuditEvents",
    allowed: false,
    user: "ann",
    address: "127.0.0.1",
    details: { reason: "ann does not administer this server" },
  });
  expect(await root.ok(["admin", "audit", "-n", "1"])).toContain("refused AuditService");
});
