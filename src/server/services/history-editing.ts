import type {
  DuplicateChangesRequest,
  HistoryServiceServer,
  RebaseChangesRequest,
  RevertChangeRequest,
  SplitChangeRequest,
  SquashChangeRequest,
} from "#gen/pogo/v1/history.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { duplicateChanges, revertChange } from "./rewrite/copy-changes.ts";
import { rebaseChanges } from "./rewrite/rebase.ts";
import { splitChange } from "./rewrite/split.ts";
import { squashChange } from "./rewrite/squash.ts";

/** Makes the service. */
export function historyService(parts: Parts, { unary }: CallHandlers): HistoryServiceServer {
  return {
    rebaseChanges: unary((request: RebaseChangesRequest, caller) =>
      rebaseChanges(parts, request, caller),
    ),
    squashChange: unary((request: SquashChangeRequest, caller) =>
      squashChange(parts, request, caller),
    ),
    splitChange: unary((request: SplitChangeRequest, caller) =>
      splitChange(parts, request, caller),
    ),
    revertChange: unary((request: RevertChangeRequest, caller) =>
      revertChange(parts, request, caller),
    ),
    duplicateChanges: unary((request: DuplicateChangesRequest, caller) =>
      duplicateChanges(parts, request, caller),
    ),
  };
}
