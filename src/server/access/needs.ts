/**
 * What every call and every HTTP route needs. Nothing is answered that is not in here: a new call
 * gets a row, with its service's name and its own as they are in the protocol, and the least that
 * whoever makes it must have. `tests/server/permissions.test.ts` says what the row is to mean.
 *
 * A row that names a role holds for the repository that the request names. Its handler finds that
 * repository by `requireRead`, `requireWrite`, `requireMaintain` or `requireAdmin` of `auth.ts`,
 * by the one that the row says, before it does anything else: whichever of the two asks for more
 * wins, and a handler that asks for more than its row says is a bug and answers nobody.
 */
import type { Role } from "#core/role.ts";

/**
 * - `nobody`: anyone may, without a token or with any that is valid
 * - `user`: a valid token, whatever it is limited to
 * - `account`: a token that may do all that its owner may
 * - `root`: such a token of a user who administers the server
 * - `secrets`: the role `admin` in the repository, or a token of that repository that was made to
 *   read its secrets; its handler finds the repository by `requireSecrets`
 * - a role: at least that role in the repository, and a token that reaches so far; everybody has
 *   `read` in a public repository
 */
export type Need = "nobody" | "user" | "account" | "root" | "secrets" | Role;

const calls: Record<string, Need> = {
  "AuthService/GetUser": "user",
  "AuthService/CreateToken": "account",
  "AuthService/ListTokens": "account",
  "AuthService/RevokeToken": "account",

  "UserService/CreateUser": "root",
  "UserService/ListUsers": "root",
  "UserService/UpdateUser": "root",
  "UserService/CreateInvite": "root",
  // The invite is what it needs.
  "UserService/RedeemInvite": "nobody",
  // So is the password.
  "UserService/LogIn": "nobody",
  // So is what a provider of identities says.
  "UserService/StartSso": "nobody",
  "UserService/FinishSso": "nobody",
  "UserService/StartBrowserSso": "nobody",
  "UserService/FinishBrowserSso": "nobody",

  "GroupService/CreateGroup": "root",
  "GroupService/DeleteGroup": "root",
  "GroupService/ListGroups": "root",
  "GroupService/AddGroupMember": "root",
  "GroupService/RemoveGroupMember": "root",

  "AuditService/ListAuditEvents": "root",

  "StorageService/Rebalance": "root",
  "StorageService/CollectGarbage": "root",
  "StorageService/Verify": "root",
  "StorageService/MeasureUsage": "root",
  "StorageService/SetQuota": "root",
  "StorageService/TakeSnapshot": "root",
  "StorageService/GetStoredObjects": "root",
  "StorageService/Obliterate": "root",

  "RepositoryService/CreateRepository": "account",
  "RepositoryService/GetRepository": "read",
  // Lists what the caller may read.
  "RepositoryService/ListRepositories": "nobody",
  "RepositoryService/AllowCaseCollisions": "admin",
  "RepositoryService/SetVisibility": "admin",

  "MemberService/SetMember": "admin",
  "MemberService/ListMembers": "write",
  "MemberService/RemoveMember": "admin",
  "MemberService/CreateDeployToken": "admin",
  "MemberService/ListDeployTokens": "admin",
  "MemberService/RevokeDeployToken": "admin",

  "SecretService/SetSecret": "maintain",
  "SecretService/ListSecrets": "maintain",
  "SecretService/GetSecret": "secrets",
  "SecretService/RemoveSecret": "maintain",

  "WorkloadService/SetTrust": "admin",
  "WorkloadService/ListTrusts": "admin",
  "WorkloadService/RemoveTrust": "admin",
  // What an issuer signed is what it needs.
  "WorkloadService/ExchangeToken": "nobody",

  "PushService/FindMissing": "write",
  "PushService/PutObjects": "write",
  "PushService/PutTrees": "write",
  "PushService/Commit": "write",

  "ArchiveService/GetArchive": "read",

  "PullService/GetTrees": "read",
  "PullService/GetObjects": "read",

  "QueryService/GetChange": "read",
  "QueryService/GetEntry": "read",
  "QueryService/ListChanges": "read",
  "QueryService/ListVersions": "read",

  "ChangeService/DescribeChange": "write",
  "ChangeService/RemoveChange": "write",

  "BookmarkService/SetBookmark": "write",
  "BookmarkService/ListBookmarks": "read",
  "BookmarkService/DeleteBookmark": "write",

  "RuleService/SetRule": "maintain",
  "RuleService/ListRules": "read",
  "RuleService/RemoveRule": "maintain",

  "MergeService/MergeChanges": "write",
  "MergeService/SyncBookmark": "write",

  "HistoryService/RebaseChanges": "write",
  "HistoryService/SquashChange": "write",
  "HistoryService/SplitChange": "write",
  "HistoryService/RevertChange": "write",
  "HistoryService/DuplicateChanges": "write",

  "OperationService/ListOperations": "read",
  "OperationService/UndoOperation": "write",
  "OperationService/RedoOperation": "write",
  "OperationService/RestoreOperation": "write",
};

const routes: Record<string, Need> = {
  "/": "nobody",
  "/healthz": "nobody",
  // The call that it makes asks who.
  "/{repository}/archive/{file}": "read",
  // The signature is what it needs.
  "/{repository}/objects/{hash}": "nobody",
};

const protocol = "/pogo.v1.";

/** A call as the table names it, by the path of its method. */
export function callName(method: string): string {
  return method.startsWith(protocol) ? method.slice(protocol.length) : method;
}

/** What a call needs, by the path of its method. */
export function needOfCall(method: string): Need {
  const name = callName(method);
  const need = Object.hasOwn(calls, name) ? calls[name] : undefined;
  if (need) return need;
  throw new Error(`nobody has decided who may call ${method}`);
}

/** What an HTTP route needs, by its name in the table. */
export function needOfRoute(path: string): Need {
  const need = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (need) return need;
  throw new Error(`nobody has decided who may ask for ${path}`);
}
