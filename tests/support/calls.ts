/** Every call that the protocol has, as it is generated, and requests to make each of them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { newRequestId } from "#client/remote.ts";
import type { Channel } from "#rpc/channel.ts";
import { emptyTreeHash } from "#core/tree.ts";
import { newChangeName } from "./publish.ts";

// oxlint-disable-next-line no-explicit-any
export type Method = MethodDefinition<any, any>;

const generated = join(import.meta.dir, "../../src/gen/pogo/v1");
const absent = "kkkkkkkkkkkkkkkk";
const protocol = "/pogo.v1.";

/** All calls, by SERVICE/CALL. */
export async function protocolCalls(): Promise<Map<string, Method>> {
  const calls = new Map<string, Method>();
  for (const file of readdirSync(generated)) {
    const exported = (await import(join(generated, file))) as Record<string, ServiceDefinition>;
    for (const [name, service] of Object.entries(exported)) {
      if (!name.endsWith("ServiceService")) continue;
      for (const method of Object.values(service)) {
        calls.set(method.path.slice(protocol.length), method as Method);
      }
    }
  }
  return calls;
}

/** What a request has to hold to be about something; the rest may be empty. */
const particulars: Record<string, (repository: string) => object> = {
  "ArchiveService/GetArchive": () => ({ revision: "main", format: 1 }),
  "AuthService/CreateToken": () => ({ name: newChangeName(), repository: "" }),
  "AuthService/RevokeToken": () => ({ name: "no such token" }),
  "BookmarkService/DeleteBookmark": () => ({ name: "no-such-bookmark" }),
  "BookmarkService/SetBookmark": () => ({ name: newChangeName(), revision: "main" }),
  "ChangeService/DescribeChange": () => ({ revision: absent }),
  "ChangeService/RemoveChange": () => ({ revision: absent }),
  "HistoryService/DuplicateChanges": () => ({ revisions: [absent] }),
  "HistoryService/RebaseChanges": () => ({ scope: 1, revision: absent, destinations: ["main"] }),
  "HistoryService/RevertChange": () => ({ revision: absent, destination: "main" }),
  "HistoryService/SplitChange": () => ({ revision: absent, paths: ["a"] }),
  "HistoryService/SquashChange": () => ({ from: absent, into: "main" }),
  "MemberService/CreateDeployToken": () => ({ name: newChangeName(), scope: "read" }),
  "MemberService/SetMember": () => ({ member: { name: "nobody.at.all", role: "read" } }),
  "MergeService/MergeChanges": () => ({
    revisions: ["main", absent],
    change: newChangeName(),
  }),
  "MergeService/SyncBookmark": () => ({
    bookmark: "main",
    revision: "main",
    change: newChangeName(),
  }),
  "PullService/GetTrees": () => ({ root: emptyTreeHash }),
  "PushService/Commit": () => ({ change: newChangeName(), tree: emptyTreeHash }),
  "QueryService/GetEntry": () => ({ revision: "main", path: "a" }),
  "RepositoryService/CreateRepository": () => ({ name: newChangeName() }),
  "RepositoryService/SetVisibility": (repository) => ({ public: repository.startsWith("public") }),
  "StorageService/Obliterate": () => ({ path: "no-such-path", dryRun: true }),
  "RuleService/SetRule": () => ({
    rule: { pattern: "no-such-*", role: "write", forwardOnly: true },
  }),
  "SecretService/GetSecret": () => ({ name: "NONE" }),
  "SecretService/RemoveSecret": () => ({ name: "NONE" }),
  "SecretService/SetSecret": () => ({ name: "TOKEN", value: "hidden" }),
  "WorkloadService/SetTrust": () => ({
    trust: { name: "ci", issuer: "https://i", audience: "a", subject: "s", scope: "read" },
  }),
  "UserService/CreateInvite": () => ({ user: "invited", expiresAt: Date.now() + 60_000 }),
  "UserService/CreateUser": () => ({ name: newChangeName() }),
  "UserService/LogIn": () => ({ user: "nobody", password: "none", tokenName: "first" }),
  "UserService/FinishSso": () => ({ tokenName: "first" }),
  "UserService/FinishBrowserSso": () => ({ tokenName: "first" }),
  "UserService/RedeemInvite": () => ({ invite: "none", tokenName: "first" }),
};

/** Makes a call about a repository, to see whether it is let through. */
export async function makeCall(
  channel: Channel,
  [name, method]: [string, Method],
  repository: string,
): Promise<void> {
  const request = {
    ...fullOf(method.requestDeserialize(Buffer.alloc(0)) as object, repository),
    ...particulars[name]?.(repository),
  };
  if (method.requestStream) {
    const requests = async function* () {
      yield request;
    };
    return void (await channel.clientStream(method, requests()));
  }
  if (!method.responseStream) return void (await channel.unary(method, request));
  for await (const _ of channel.serverStream(method, request)) break;
}

function fullOf(request: object, repository: string): object {
  return {
    ...request,
    ...("repository" in request && { repository }),
    // GetRepository calls it so, and what others mean by a name does not exist.
    ...("name" in request && { name: "repository" in request ? "no.such.name" : repository }),
    ...("requestId" in request && { requestId: newRequestId() }),
  };
}
