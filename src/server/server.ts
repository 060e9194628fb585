/** The composition root: opens the parts, wires them to the port, and closes them in order. */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { join, resolve } from "node:path";

import { isPogoError, PogoError } from "#core/errors.ts";
import { isLoopback } from "#core/loopback.ts";
import type { Hash } from "#core/hash.ts";
import { drainMs, objectCacheBytesUnlessSaid, rootTokenLengthMin } from "#core/limits.ts";
import { ArchiveServiceService } from "#gen/pogo/v1/archive.ts";
import { AuditServiceService } from "#gen/pogo/v1/audit.ts";
import { AuthServiceService } from "#gen/pogo/v1/auth.ts";
import { BookmarkServiceService } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService } from "#gen/pogo/v1/change.ts";
import { HistoryServiceService } from "#gen/pogo/v1/history.ts";
import { GroupServiceService } from "#gen/pogo/v1/group.ts";
import { MemberServiceService } from "#gen/pogo/v1/member.ts";
import { MergeServiceService } from "#gen/pogo/v1/merge.ts";
import { OperationServiceService } from "#gen/pogo/v1/operation.ts";
import { PushServiceService } from "#gen/pogo/v1/push.ts";
import { QueryServiceService } from "#gen/pogo/v1/query.ts";
import { RepositoryServiceService } from "#gen/pogo/v1/repository.ts";
import { RuleServiceService } from "#gen/pogo/v1/rule.ts";
import { SecretServiceService } from "#gen/pogo/v1/secret.ts";
import { StorageServiceService } from "#gen/pogo/v1/storage.ts";
import { UserServiceService } from "#gen/pogo/v1/user.ts";
import { WorkloadServiceService } from "#gen/pogo/v1/workload.ts";
import { pullMethods } from "#rpc/blob-methods.ts";
import { listen, type Service } from "#rpc/listen.ts";
import { readAddresses, type AddressReader } from "#rpc/forwarded.ts";
import { handlers, type CallObserver } from "#rpc/serve.ts";
import { checkCdn, openObjectUrls, type ObjectUrls } from "./access/object-urls.ts";
import type { CallRates } from "./access/throttle.ts";
import { ensureRoot } from "./auth.ts";
import { refuseHalfRestored } from "./backup/restoring.ts";
import { checkDatabaseUrl, translateDatabaseError, type Sql } from "./db/connect.ts";
import { migrate } from "./db/migrate.ts";
import { noteDamaged } from "./db/objects.ts";
import { openDatabase } from "./db/open.ts";
import { ensureUrlSecret } from "./db/url-secret.ts";
import { openUpkeep } from "./gc/daily.ts";
import { openDataKeys } from "./object-keys.ts";
import { archiveService } from "./services/archive.ts";
import { auditService } from "./services/audit.ts";
import { openDirectory } from "./directory/directory.ts";
import type { DirectoryOptions } from "./directory/options.ts";
import { watchDirectory } from "./directory/watch.ts";
import { authService } from "./services/auth.ts";
import { bookmarkService } from "./services/bookmark.ts";
import { authenticated, type CallHandlers } from "./services/calls.ts";
import { changeService } from "./services/change.ts";
import { historyService } from "./services/history-editing.ts";
import { groupService } from "./services/group.ts";
import { memberService } from "./services/member.ts";
import { mergeService } from "./services/merge.ts";
import { readTombstone } from "./services/obliterate.ts";
import { operationService } from "./services/operation.ts";
import { pullService } from "./services/pull.ts";
import { pushService } from "./services/push.ts";
import { queryService } from "./services/query.ts";
import { repositoryService } from "./services/repository.ts";
import { ruleService } from "./services/rule.ts";
import { secretService } from "./services/secret.ts";
import { storageService, type StorageParts } from "./services/storage.ts";
import { userService } from "./services/user.ts";
import { workloadService } from "./services/workload.ts";
import {
  directoriesOf,
  locateObjects,
  parseLocation,
  type Environment,
  type StoreLocation,
} from "./store/location.ts";
import type { DataKeys } from "./store/encrypted.ts";
import { openMirrors, openStore, type OpenedStore } from "./store/open.ts";
import { reportingStore } from "./store/reporting.ts";
import type { SsoOptions } from "./sso/options.ts";
import { openTls, type TlsOptions } from "./tls/identity.ts";
import { webListener } from "./web/listener.ts";

export type ServerOptions = {
  /** Holds the embedded database and the objects, unless they are elsewhere. */
  dataDirectory: string;
  /** `HOST:PORT`; port 0 is any free one. */
  listen: string;
  databaseUrl?: string | undefined;
  /** Where the objects are: a directory, several, or s3://BUCKET/PREFIX. */
  objects?: string | undefined;
  /** Variables that say how to reach a bucket. */
  environment?: Environment;
  /** Bytes of a bucket's objects that are kept in the data directory as well. */
  cacheBytesMax?: number | undefined;
  /** How long what was removed or overwritten can be gone back to. */
  retentionMs?: number | undefined;
  /** How long audit events stay. */
  auditKeptMs?: number | undefined;
  /** Keys that objects and secrets are encrypted with: see object-keys.ts. */
  keys?: string | undefined;
  /** Token of the user root; else one is made up at the first start. */
  rootToken?: string | undefined;
  /** The certificate to show; without, nothing is encrypted. */
  tls?: TlsOptions | undefined;
  /** Address of a delivery network, whose origin this server is. */
  cdn?: string | undefined;
  /** Where the organisation keeps its people. */
  directory?: DirectoryOptions | undefined;
  /** Who says who somebody is. */
  sso?: SsoOptions | undefined;
  /** Whose signatures under the tokens of programs repositories may believe. */
  workloadIssuers?: readonly string[];
  /** Addresses of proxies that are believed about who calls, as ADDRESS or ADDRESS/BITS. */
  trustedProxies?: readonly string[];
  /** How many calls one token and one address may make. */
  callRates?: CallRates | undefined;
  /** How often the token of a stream is looked at again. */
  tokenCheckedMs?: number | undefined;
  /** Allows to listen without encryption where others than this machine can connect. */
  allowInsecure?: boolean;
  /** Told of every call that ended. */
  observe?: CallObserver;
};

export type RunningServer = {
  host: string;
  port: number;
  url: string;
  /** Of the certificate, if there is one that nobody vouches for. */
  fingerprint: string | undefined;
  /** The token of root, if this start made one up. It is not to be had again. */
  rootToken: string | undefined;
  /** Takes no new calls, lets those under way finish for a while, closes everything. */
  close(): Promise<void>;
};

type Configuration = ServerOptions & {
  host: string;
  port: number;
  location: StoreLocation;
  addressOf: AddressReader;
};

/** Starts a server. Nothing is created unless the whole configuration makes sense. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const configuration = readConfiguration(options);
  const { host, port, retentionMs, auditKeptMs, addressOf, observe = () => {} } = configuration;
  const dataDirectory = resolve(options.dataDirectory);
  refuseHalfRestored(dataDirectory);
  const place = { directory: dataDirectory, host };
  const tls = options.tls && (await openTls(options.tls, place));
  await using opening = new AsyncDisposableStack();
  const sql = await openDatabase(configuration, opening);
  await prepareDatabase(sql);
  const dataKeys = await openDataKeys(sql, options.keys);
  const { store, ...stores } = await openObjects(configuration, sql, dataKeys);
  opening.use(store);
  const stored = { sql, store, places: stores.places };
  opening.use(openUpkeep({ ...stored, retentionMs, auditKeptMs }, observeUpkeep(observe)));
  const root = await ensureRoot(sql, options.rootToken);
  const directory = options.directory && openDirectory(options.directory);
  if (directory) opening.use(watchDirectory({ sql, directory }, observeDirectory(observe)));
  const { workloadIssuers = [] } = options;
  const issuers =
    workloadIssuers.length > 0
      ? (await import("./sso/workload.ts")).openIssuers(workloadIssuers)
      : undefined;
  const sso = options.sso && (await import("./sso/sso.ts")).openSso(options.sso);
  const { callRates, tokenCheckedMs } = options;
  const identities = { directory, sso, issuers, callRates, tokenCheckedMs };
  const objectUrls = await openUrls(configuration, sql, dataKeys);
  const storage = { ...stored, ...stores, dataKeys, dataDirectory, retentionMs, objectUrls };
  const parts = { ...storage, ...identities };
  const calls = authenticated(parts, handlers(observe, addressOf));
  const services = openServices(parts, calls);
  const http = webListener({ parts, calls, observe, addressOf });
  const listener = await listen({ host, port, services, http, tls: tls?.identity });
  opening.defer(() => listener.close(drainMs));
  if (tls) opening.use(tls.watch((identity) => listener.replaceTls(identity)));
  const opened = opening.move();
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    host,
    port: listener.port,
    url: `${tls ? "https" : "http"}://${name}:${listener.port}`,
    fingerprint: tls?.isSelfSigned ? tls.fingerprint : undefined,
    rootToken: root.generated,
    close: () => opened.disposeAsync(),
  };
}

/** Tells of what the server does by itself as if somebody had called it. */
function observeUpkeep(observe: CallObserver) {
  return ({ what, elapsedMs, error }: { what: string; elapsedMs: number; error?: unknown }) => {
    const failure = isPogoError(error) ? error.code : "internal";
    const code = error === undefined ? "ok" : failure;
    observe({ method: `daily ${what}`, code, elapsedMs, error });
  };
}

function readConfiguration(options: ServerOptions): Configuration {
  const { dataDirectory, databaseUrl, rootToken, allowInsecure = false } = options;
  const { host, port } = readAddress(options.listen);
  if (!isLoopback(host) && !allowInsecure && !options.tls) {
    throw new PogoError("usage", `${host} can be reached by others, and tokens would not be safe`, {
      hint: "give it a certificate with --tls-cert and --tls-key, or begin with --tls self-signed",
    });
  }
  if (databaseUrl !== undefined) checkDatabaseUrl(databaseUrl);
  if (options.cdn !== undefined) checkCdn(options.cdn);
  if (rootToken !== undefined && !/^[\x21-\x7e]+$/.test(rootToken)) {
    throw new PogoError("usage", "the root token may hold only letters, digits and punctuation");
  }
  if (rootToken !== undefined && rootToken.length < rootTokenLengthMin) {
    throw new PogoError("usage", `the root token is shorter than ${rootTokenLengthMin} characters`);
  }
  const location = locateObjects(options);
  const directories = [resolve(dataDirectory), ...directoriesOf(location)];
  for (const directory of directories) checkDirectory(directory);
  const addressOf = readAddresses(options.trustedProxies ?? []);
  return { ...options, host, port, location, addressOf };
}

function readAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new PogoError("usage", `${JSON.stringify(text)} is not an address to listen on`, {
    hint: "write it as HOST:PORT, as in 127.0.0.1:8080; port 0 is any free one",
  });
}

function checkDirectory(directory: string): void {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (!stats || stats.isDirectory()) return;
  throw new PogoError("usage", `${directory} is not a directory`);
}

/** Opens the objects. What is found damaged is noted, so that who has it is asked for it again. */
async function openObjects(
  configuration: Configuration,
  sql: Sql,
  keys: DataKeys | undefined,
): Promise<OpenedStore & Pick<StorageParts, "openMirrors">> {
  const { location, dataDirectory, cacheBytesMax = objectCacheBytesUnlessSaid } = configuration;
  const cache = {
    directory: join(resolve(dataDirectory), "object-cache"),
    bytesMax: cacheBytesMax,
  };
  const opened = await openStore({ location, cache, keys });
  // Whoever reads it is told in any case, and whoever reads it next notes it.
  const report = (hash: Hash) => noteDamaged(sql, hash).catch(() => {});
  const substitute = (hash: Hash) => readTombstone(sql, hash);
  return {
    ...opened,
    store: reportingStore(opened.store, { report, substitute }),
    stored: reportingStore(opened.stored, { report, substitute }),
    openMirrors: (text) => {
      const { environment = {}, allowInsecure = false } = configuration;
      return openMirrors(parseLocation(text, environment, { allowInsecure }), keys);
    },
  };
}

async function openUrls(
  { cdn }: Configuration,
  sql: Sql,
  dataKeys: DataKeys | undefined,
): Promise<ObjectUrls | undefined> {
  if (cdn === undefined) return undefined;
  const secret = await ensureUrlSecret(sql, randomBytes(32));
  return openObjectUrls(checkCdn(cdn), secret, dataKeys?.keys.get(dataKeys.current));
}

async function prepareDatabase(sql: Sql): Promise<void> {
  try {
    await migrate(sql);
  } catch (error) {
    throw translateDatabaseError(error);
  }
}

/** A directory that does not answer is no bug, and has to be known. */
function observeDirectory(observe: CallObserver): (error: unknown) => void {
  return (error) => observe({ method: "directory", code: "internal", elapsedMs: 0, error });
}

function openServices(parts: StorageParts, calls: CallHandlers): Service[] {
  return [
    { definition: AuthServiceService, implementation: authService(parts, calls) },
    { definition: UserServiceService, implementation: userService(parts, calls) },
    { definition: GroupServiceService, implementation: groupService(parts, calls) },
    { definition: AuditServiceService, implementation: auditService(parts, calls) },
    { definition: RuleServiceService, implementation: ruleService(parts, calls) },
    { definition: SecretServiceService, implementation: secretService(parts, calls) },
    { definition: WorkloadServiceService, implementation: workloadService(parts, calls) },
    { definition: MemberServiceService, implementation: memberService(parts, calls) },
    { definition: StorageServiceService, implementation: storageService(parts, calls) },
    { definition: RepositoryServiceService, implementation: repositoryService(parts, calls) },
    { definition: PushServiceService, implementation: pushService(parts, calls) },
    { definition: ArchiveServiceService, implementation: archiveService(parts, calls) },
    { definition: pullMethods, implementation: pullService(parts, calls) },
    { definition: QueryServiceService, implementation: queryService(parts, calls) },
    { definition: MergeServiceService, implementation: mergeService(parts, calls) },
    { definition: HistoryServiceService, implementation: historyService(parts, calls) },
    { definition: ChangeServiceService, implementation: changeService(parts, calls) },
    { definition: BookmarkServiceService, implementation: bookmarkService(parts, calls) },
    { definition: OperationServiceService, implementation: operationService(parts, calls) },
  ];
}
