import { PogoError } from "#core/errors.ts";
import type {
  CollectGarbageRequest,
  RebalanceResponse,
  StorageServiceServer,
  VerifyRequest,
} from "#gen/pogo/v1/storage.ts";
import { collect, collectOptions } from "../gc/collect.ts";
import { verify } from "../gc/verify.ts";
import type { VolumesStore } from "../store/volumes.ts";
import type { CallHandlers, Parts } from "./calls.ts";

export type StorageParts = Parts & {
  volumes: VolumesStore | undefined;
  retentionMs: number | undefined;
};

/** Makes the service. */
export function storageService(
  parts: StorageParts,
  { serverStream }: CallHandlers,
): StorageServiceServer {
  return {
    rebalance: serverStream(() => rebalance(parts)),
    collectGarbage: serverStream(({ dryRun }: CollectGarbageRequest) =>
      collect(parts, { ...collectOptions(parts.retentionMs), dryRun }),
    ),
    verify: serverStream(({ share }: VerifyRequest) => verify(parts, checkShare(share))),
  };
}

function checkShare(share: number): number {
  if (share >= 0 && share <= 1) return share;
  throw new PogoError("usage", `${share} is not a share`);
}

async function* rebalance({ volumes }: StorageParts): AsyncGenerator<RebalanceResponse> {
  if (!volumes) {
    throw new PogoError("usage", "the objects are not on several volumes", {
      hint: "pogo serve --objects DIR,DIR",
    });
  }
  yield* volumes.rebalance();
}
