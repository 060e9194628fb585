/** Puts the store together that an operator asked for. */
import { existsSync } from "node:fs";

import { PogoError } from "#core/errors.ts";
import { openCachedStore, type CacheOptions } from "./cached.ts";
import { openDiskStore } from "./disk.ts";
import { encryptedStore, type DataKeys } from "./encrypted.ts";
import { directoriesOf, type StoreLocation } from "./location.ts";
import { openS3Store } from "./s3.ts";
import type { ObjectStore } from "./store.ts";
import { hasMarker } from "./volume-marker.ts";
import { openVolumes, type VolumesStore } from "./volumes.ts";

export type StoreOptions = {
  location: StoreLocation;
  /** Of what is far away. */
  cache: CacheOptions;
  /** What objects are encrypted with, if they are. */
  keys: DataKeys | undefined;
};

/**
 * A store; the same without a cache and as objects are stored, encrypted or not; its volumes by
 * themselves if there are several; and the places where objects lie, each by itself and without a
 * cache.
 */
export type OpenedStore = {
  store: ObjectStore;
  stored: ObjectStore;
  volumes: VolumesStore | undefined;
  places: readonly ObjectStore[];
};

/** Opens a store. What is in its cache is encrypted like the store. */
export async function openStore(options: StoreOptions): Promise<OpenedStore> {
  const { inner, volumes, places } = await openInner(options);
  const decrypted = decryptedBy(options.keys);
  const stored = volumes ?? places[0]!;
  return { store: decrypted(inner), stored, volumes, places: places.map(decrypted) };
}

/** Opens what is there already to be read, each directory by itself. */
export async function openMirrors(
  location: StoreLocation,
  keys: DataKeys | undefined,
): Promise<AsyncDisposable & { mirrors: ObjectStore[] }> {
  const opened = new AsyncDisposableStack();
  const mirrors: ObjectStore[] = [];
  if (location.kind === "s3") mirrors.push(opened.use(await openS3Store(location)));
  for (const directory of directoriesOf(location)) {
    if (!existsSync(directory)) throw new PogoError("not-found", `there is no ${directory}`);
    mirrors.push(opened.use(await openDiskStore(directory)));
  }
  const decrypted = mirrors.map(decryptedBy(keys));
  return { mirrors: decrypted, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function decryptedBy(keys: DataKeys | undefined): (store: ObjectStore) => ObjectStore {
  return (store) => (keys ? encryptedStore(store, keys) : store);
}

async function openInner({ location, cache }: StoreOptions) {
  if (location.kind === "s3") {
    const remote = await openS3Store(location);
    const inner = cache.bytesMax > 0 ? await openCachedStore(remote, cache) : remote;
    return { inner, volumes: undefined, places: [remote] };
  }
  // One that is left of several would seem to have lost most objects: it says so itself.
  const isVolume = location.kind === "disk" && hasMarker(location.directory);
  if (location.kind === "disk" && !isVolume) {
    const disk = await openDiskStore(location.directory);
    return { inner: disk, volumes: undefined, places: [disk] };
  }
  const directories = location.kind === "disk" ? [location.directory] : location.directories;
  const volumes = await openVolumes(directories);
  return { inner: volumes, volumes, places: volumes.places };
}
