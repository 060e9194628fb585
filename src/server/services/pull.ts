import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, toHex, type Hash } from "#core/hash.ts";
import { objectBytesMax, publicUrlBytesMin, urlBytesMin } from "#core/limits.ts";
import { decodeTree } from "#core/tree.ts";
import type {
  GetObjectsRequest,
  GetObjectsResponse,
  GetTreesRequest,
  GetTreesResponse,
  PullServiceServer,
} from "#gen/pogo/v1/pull.ts";
import { toParts, type Blob } from "#rpc/blobs.ts";
import { readAhead } from "#core/read-ahead.ts";
import { requireRead, type Caller } from "../auth.ts";
import { findObjects, type HeldObject, type ObjectRow } from "../db/objects.ts";
import { findTrees } from "../db/trees.ts";
import type { ObjectStore } from "../store/store.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readTombstone } from "./obliterate.ts";
import { checkHash, checkHashes } from "./requests.ts";
import { treeReader, type TreeReader } from "./tree-walk.ts";

const pairsPerRead = 128;
const urlsPerMessage = 128;

/** Makes the service. */
export function pullService(parts: Parts, { serverStream }: CallHandlers): PullServiceServer {
  return {
    getTrees: serverStream((request: GetTreesRequest, caller) => getTrees(parts, request, caller)),
    getObjects: serverStream((request: GetObjectsRequest, caller) =>
      getObjects(parts, request, caller),
    ),
  };
}

/** Streams the trees of a snapshot that another one does not have. */
export async function* getTrees(
  { sql }: Parts,
  request: GetTreesRequest,
  caller: Caller | undefined,
): AsyncGenerator<GetTreesResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  const root = checkHash(request.root);
  const asked = request.held.length === 0 ? [root] : [root, checkHash(request.held)];
  const found = await findTrees(sql, repositoryId, asked);
  if (!found.has(hashKey(root))) {
    throw new PogoError("not-found", `the repository does not hold tree ${toHex(root)}`);
  }
  // What the repository does not know cannot be compared with: then everything is sent.
  const held = asked[1] && found.has(hashKey(asked[1])) ? asked[1] : undefined;
  const trees = newTrees(treeReader(sql, repositoryId), root, held);
  for await (const parts of toParts(trees)) yield { parts };
}

/** Streams objects as they are stored, in the order asked, or where they are to be had. */
export async function* getObjects(
  { sql, store, objectUrls }: Parts,
  request: GetObjectsRequest,
  caller: Caller | undefined,
): AsyncGenerator<GetObjectsResponse> {
  const repository = await requireRead(sql, caller, request.repository);
  checkHashes(request.hashes);
  const held = await findObjects(sql, repository.repositoryId, request.hashes);
  const rows = request.hashes.map((hash) => {
    const row = held.get(hashKey(hash));
    if (row) return row;
    throw new PogoError("not-found", `the repository does not hold object ${toHex(hash)}`);
  });
  const source = rows.some((row) => row.isObliterated) ? withTombstones({ sql, store }) : store;
  const signer = request.acceptUrls ? objectUrls : undefined;
  const { own, elsewhere } = placeObjects(rows, signer && repository);
  for (let start = 0; signer && start < elsewhere.length; start += urlsPerMessage) {
    const urls = elsewhere.slice(start, start + urlsPerMessage).map(({ hash, rawSize }) => {
      const { repositoryId, name } = repository;
      return { hash, rawSize, url: signer.sign({ repositoryId, repository: name, hash }) };
    });
    yield { parts: [], urls };
  }
  for await (const parts of toParts(readObjects(source, own))) yield { parts, urls: [] };
}

/** Which objects the server sends, and which of a repository are to be had elsewhere. */
function placeObjects(rows: readonly HeldObject[], repository: { public: boolean } | undefined) {
  const bytesMin = repository?.public ? publicUrlBytesMin : urlBytesMin;
  // A list of chunks is no contents: the chunks are asked for next, and may be elsewhere.
  const isElsewhere = ({ rawSize, storedSize, isObliterated }: HeldObject) =>
    repository && !isObliterated && storedSize >= bytesMin && rawSize <= objectBytesMax;
  const elsewhere = rows.filter(isElsewhere);
  return {
    own: elsewhere.length === 0 ? rows : rows.filter((row) => !isElsewhere(row)),
    elsewhere,
  };
}

async function* newTrees(
  read: TreeReader,
  root: Hash,
  held: Hash | undefined,
): AsyncGenerator<Blob> {
  if (held && equalHashes(root, held)) return;
  // Sent, to be sent, or met below `held`.
  const known = new Set([hashKey(root)]);
  let open: { tree: Hash; held: Hash | undefined }[] = [{ tree: root, held }];
  while (open.length > 0) {
    const pairs = open.slice(0, pairsPerRead);
    open = open.slice(pairsPerRead);
    const asked = pairs.flatMap((pair) => (pair.held ? [pair.held, pair.tree] : [pair.tree]));
    let heldByName = new Map<string, Hash>();
    let isHeld = pairs[0]?.held !== undefined;
    let index = 0;
    for await (const blob of read(asked)) {
      const directories = decodeTree(blob.bytes).filter((entry) => entry.kind === "directory");
      if (isHeld) {
        heldByName = new Map(directories.map(({ name, hash }) => [name, hash]));
        for (const { hash } of directories) known.add(hashKey(hash));
        isHeld = false;
        continue;
      }
      yield blob;
      for (const { name, hash } of directories) {
        const key = hashKey(hash);
        if (known.has(key)) continue;
        known.add(key);
        open.push({ tree: hash, held: heldByName.get(name) });
      }
      heldByName = new Map();
      isHeld = pairs[++index]?.held !== undefined;
    }
  }
}

/** A store whose cache is not asked for what was obliterated. */
function withTombstones({ sql, store }: Pick<Parts, "sql" | "store">): Pick<ObjectStore, "get"> {
  return { get: async (hash) => (await readTombstone(sql, hash)) ?? (await store.get(hash)) };
}

/** Reads objects in order, some of them before their turn. */
export async function* readObjects(
  store: Pick<ObjectStore, "get">,
  rows: readonly Pick<ObjectRow, "hash" | "storedSize">[],
): AsyncGenerator<Blob> {
  const read = ({ hash }: { hash: Hash }) => store.get(hash);
  for await (const { item, value } of readAhead(rows, read, ({ storedSize }) => storedSize)) {
    yield { hash: item.hash, bytes: value };
  }
}
