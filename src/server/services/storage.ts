import { PogoError } from "#core/errors.ts";
import type {
  CollectGarbageRequest,
  RebalanceResponse,
  StorageServiceServer,
} from "#gen/pogo/v1/storage.ts";
import { collect, collectDefaults } from "../gc/collect.ts";
import type { VolumesStore } from "../store/volumes.ts";
import type { CallHandlers, Parts } from "./calls.ts";

export type StorageParts = Parts & { volumes: VolumesStore | undefined };

/** Makes the service. */
export function storageService(
  parts: StorageParts,
  { serverStream }: CallHandlers,
): StorageServiceServer {
  return {
    rebalance: serverStream(() => rebalance(parts)),
    collectGarbage: serverStream(({ dryRun }: CollectGarbageRequest) =>
      collect(parts, { ...collectDefaults, dryRun }),
    ),
  };
}

async function* rebalance({ volumes }: StorageParts): AsyncGenerator<RebalanceResponse> {
  if (!volumes) {
    throw new PogoError("usage", "the objects are not on several volumes", {
      hint: "pogo serve --objects DIR,DIR",
    });
  }
  yield* volumes.rebalance();
}
