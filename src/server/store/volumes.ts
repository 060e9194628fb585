/**
 * Several directories as one store. Each object has an order of volumes of its own, by rendezvous
 * hashing of its hash and the volume's id, and lies on the first: when a volume is added, only
 * the share that it gets moves. An object is looked for on all of them, in that order, so that it
 * is found before it was moved, and when a volume was full or away as it came.
 */
import { isPogoError, PogoError } from "#core/errors.ts";
import { toHex, type Hash } from "#core/hash.ts";
import { openDiskStore } from "./disk.ts";
import { checkObject, missingObject, type ObjectStore, type StoredObject } from "./store.ts";
import { findVolumes, isMounted, type FoundVolume } from "./volume-marker.ts";

export type RebalanceProgress = { checked: number; moved: number; movedBytes: number };

export type VolumesStore = ObjectStore & {
  /** Moves objects to the volumes that are theirs; says from time to time how far it is. */
  rebalance(): AsyncIterable<RebalanceProgress>;
  /** The volumes, each by itself. */
  readonly places: readonly ObjectStore[];
};

type Volume = FoundVolume & { seed: bigint; store: ObjectStore };
type Moving = StoredObject & { home: Volume };

const batchCount = 64;
const batchBytes = 16 * 1024 * 1024;
const reportCount = 1024;

/** Opens the volumes in directories. One that is missing is missed when it is asked. */
export async function openVolumes(directories: readonly string[]): Promise<VolumesStore> {
  const volumes = findVolumes(directories);
  const opened = volumes.map(async (volume): Promise<Volume> => {
    const store = await openDiskStore(volume.directory).catch(refusingStore);
    return { ...volume, seed: BigInt(`0x${volume.id}`), store };
  });
  return new Volumes(await Promise.all(opened));
}

class Volumes implements VolumesStore {
  readonly #volumes: readonly Volume[];

  readonly places: readonly ObjectStore[];

  constructor(volumes: Volume[]) {
    this.#volumes = volumes;
    this.places = volumes.map(placeOf);
  }

  async putAll(objects: readonly StoredObject[]): Promise<void> {
    for (const { hash, encoded } of objects) checkObject(hash, encoded);
    let left: readonly StoredObject[] = objects;
    const refusals = new Map<Volume, unknown>();
    while (left.length > 0) {
      const shares = new Map<Volume, StoredObject[]>();
      for (const object of left) {
        const volume = this.#order(object.hash).find((one) => !refusals.has(one));
        // All of them refuse. The first reason is that of the volume where it should be.
        if (!volume) throw refusals.get(this.#order(object.hash)[0]!);
        shares.set(volume, [...(shares.get(volume) ?? []), object]);
      }
      left = (await Promise.all([...shares].map((share) => putShare(...share, refusals)))).flat();
    }
  }

  async get(hash: Hash): Promise<Uint8Array> {
    // What is moved between two looks was on the first volume when it left the other.
    const found = (await this.#find(hash)) ?? (await this.#find(hash));
    if (!found) throw missingObject(hash);
    return found;
  }

  async has(hash: Hash): Promise<boolean> {
    try {
      await this.get(hash);
      return true;
    } catch (error) {
      if (isPogoError(error, "not-found") || isPogoError(error, "corrupt")) return false;
      throw error;
    }
  }

  async delete(hash: Hash): Promise<void> {
    const away = this.#volumes.filter((volume) => !isMounted(volume));
    for (const volume of this.#volumes) if (!away.includes(volume)) await volume.store.delete(hash);
    if (away[0]) throw missingVolume(away[0], mayHold(hash));
  }

  async *list(): AsyncGenerator<Hash> {
    const away = this.#volumes.filter((volume) => !isMounted(volume));
    for (const volume of this.#volumes) {
      if (away.includes(volume)) continue;
      for await (const hash of volume.store.list()) {
        if (!(await this.#isOnEarlier(hash, volume, away))) yield hash;
      }
    }
    if (away[0]) throw missingVolume(away[0], "its objects cannot be listed");
  }

  async *rebalance(): AsyncGenerator<RebalanceProgress> {
    const progress = { checked: 0, moved: 0, movedBytes: 0 };
    const present = this.#volumes.filter((volume) => isMounted(volume));
    for (const source of present) {
      const batch: Moving[] = [];
      let bytes = 0;
      for await (const hash of source.store.list()) {
        if (++progress.checked % reportCount === 0) yield { ...progress };
        const home = this.#order(hash).find((volume) => present.includes(volume))!;
        if (home === source) continue;
        const encoded = await readWhole(source.store, hash);
        if (!encoded) continue;
        batch.push({ hash, encoded, home });
        bytes += encoded.length;
        if (batch.length < batchCount && bytes < batchBytes) continue;
        await moveAll(source, batch.splice(0), progress);
        bytes = 0;
      }
      await moveAll(source, batch, progress);
    }
    yield progress;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#volumes.map(({ store }) => store[Symbol.asyncDispose]()));
  }

  /** The volumes in the order in which an object is looked for on them. */
  #order(hash: Hash): Volume[] {
    const scores = new Map(
      this.#volumes.map((volume) => [volume, Bun.hash.xxHash64(hash, volume.seed)]),
    );
    return [...this.#volumes].sort((a, b) => (scores.get(a)! > scores.get(b)! ? -1 : 1));
  }

  /** Finds an object on whichever volume has it undamaged. */
  async #find(hash: Hash): Promise<Uint8Array | undefined> {
    let failure: unknown;
    for (const volume of this.#order(hash)) {
      try {
        return await volume.store.get(hash);
      } catch (error) {
        if (isPogoError(error, "not-found")) {
          // An empty mount point has nothing either.
          if (!isMounted(volume)) failure ??= missingVolume(volume, mayHold(hash));
        } else if (isPogoError(error, "corrupt") || isPogoError(error, "unavailable")) {
          failure ??= error;
        } else {
          throw error;
        }
      }
    }
    if (failure) throw failure;
    return undefined;
  }

  async #isOnEarlier(hash: Hash, volume: Volume, away: readonly Volume[]): Promise<boolean> {
    for (const earlier of this.#order(hash)) {
      if (earlier === volume) return false;
      if (!away.includes(earlier) && (await holdsAny(earlier.store, hash))) return true;
    }
    return false;
  }
}

/** Moves objects off a volume: each is durable where it belongs before it is deleted. */
async function moveAll(
  source: Volume,
  objects: readonly Moving[],
  progress: RebalanceProgress,
): Promise<void> {
  for (const [home, share] of Map.groupBy(objects, (object) => object.home)) {
    await home.store.putAll(share);
    for (const { hash, encoded } of share) {
      await source.store.delete(hash);
      progress.moved++;
      progress.movedBytes += encoded.length;
    }
  }
}

/** Puts objects on a volume; says which are left for another because it cannot take them. */
async function putShare(
  volume: Volume,
  objects: StoredObject[],
  refusals: Map<Volume, unknown>,
): Promise<StoredObject[]> {
  try {
    if (!isMounted(volume)) throw missingVolume(volume, "nothing can be written to it");
    await volume.store.putAll(objects);
    return [];
  } catch (error) {
    if (!isPogoError(error, "unavailable")) throw error;
    refusals.set(volume, error);
    return objects;
  }
}

/** Reads an object that is to be moved: one that is damaged, or gone meanwhile, stays. */
async function readWhole(store: ObjectStore, hash: Hash): Promise<Uint8Array | undefined> {
  try {
    return await store.get(hash);
  } catch (error) {
    if (isPogoError(error, "corrupt") || isPogoError(error, "not-found")) return undefined;
    throw error;
  }
}

async function holdsAny(store: ObjectStore, hash: Hash): Promise<boolean> {
  try {
    await store.get(hash);
    return true;
  } catch (error) {
    if (isPogoError(error, "not-found")) return false;
    if (isPogoError(error, "corrupt")) return true;
    throw error;
  }
}

function mayHold(hash: Hash): string {
  return `object ${toHex(hash)} may be on it`;
}

/** What is on one volume. Where it is not mounted there is nothing, which is not to be believed. */
function placeOf(volume: Volume): ObjectStore {
  const { store } = volume;
  return {
    ...refusingStore(new Error("a volume by itself is not written to")),
    async get(hash) {
      if (!isMounted(volume)) throw missingVolume(volume, mayHold(hash));
      return await store.get(hash);
    },
    delete: (hash) => store.delete(hash),
  };
}

/** The store on a volume that could not be opened. */
function refusingStore(reason: unknown): ObjectStore {
  const refuse = async () => {
    throw reason;
  };
  return {
    putAll: refuse,
    get: refuse,
    has: refuse,
    delete: refuse,
    async *list() {
      throw reason;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function missingVolume({ directory }: FoundVolume, what: string): PogoError {
  return new PogoError("unavailable", `volume ${directory} is missing: ${what}`, {
    hint: `mount ${directory} again`,
  });
}
