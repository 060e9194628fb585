/** Puts the store together that an operator asked for. */
import { openCachedStore, type CacheOptions } from "./cached.ts";
import { openDiskStore } from "./disk.ts";
import { encryptedStore, type DataKeys } from "./encrypted.ts";
import type { StoreLocation } from "./location.ts";
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

/** A store, and its volumes by themselves if there are several. */
export type OpenedStore = { store: ObjectStore; volumes: VolumesStore | undefined };

/** Opens a store. What is in its cache is encrypted like the store. */
export async function openStore(options: StoreOptions): Promise<OpenedStore> {
  const { inner, volumes } = await openInner(options);
  return { store: options.keys ? encryptedStore(inner, options.keys) : inner, volumes };
}

async function openInner({ location, cache }: StoreOptions) {
  if (location.kind === "s3") {
    const remote = await openS3Store(location);
    return { inner: cache.bytesMax > 0 ? await openCachedStore(remote, cache) : remote };
  }
  // One that is left of several would seem to have lost most objects: it says so itself.
  const isVolume = location.kind === "disk" && hasMarker(location.directory);
  if (location.kind === "disk" && !isVolume) {
    return { inner: await openDiskStore(location.directory) };
  }
  const directories = location.kind === "disk" ? [location.directory] : location.directories;
  const volumes = await openVolumes(directories);
  return { inner: volumes, volumes };
}
