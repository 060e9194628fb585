import type {
  ListOperationsRequest,
  ListOperationsResponse,
  OperationServiceServer,
  RedoOperationRequest,
  RestoreOperationRequest,
  UndoOperationRequest,
} from "#gen/pogo/v1/operation.ts";
import { Operation } from "#gen/pogo/v1/operation.ts";
import { PogoError } from "#core/errors.ts";
import { operationAnswerBytes } from "#core/limits.ts";
import { requireRead, type Caller } from "../auth.ts";
import { listOperations as listInDatabase, listReversals, readHead } from "../db/operation-log.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { operationMessages, undoneOperations } from "./undo/operation-message.ts";
import { restoreOperation } from "./undo/operation-restore.ts";
import { redoOperation, undoOperation } from "./undo/undo.ts";

const pageCount = 200;

/** Makes the service. */
export function operationService(parts: Parts, handlers: CallHandlers): OperationServiceServer {
  const { unary, serverStream } = handlers;
  return {
    listOperations: serverStream((request: ListOperationsRequest, caller) =>
      listOperations(parts, request, caller),
    ),
    undoOperation: unary((request: UndoOperationRequest, caller) =>
      undoOperation(parts, request, caller),
    ),
    redoOperation: unary((request: RedoOperationRequest, caller) =>
      redoOperation(parts, request, caller),
    ),
    restoreOperation: unary((request: RestoreOperationRequest, caller) =>
      restoreOperation(parts, request, caller),
    ),
  };
}

/** Lists operations, newest first, a page at a time. */
async function* listOperations(
  { sql }: Parts,
  request: ListOperationsRequest,
  caller: Caller | undefined,
): AsyncGenerator<ListOperationsResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  const head = await readHead(sql, repositoryId);
  const newest = request.from || head.number;
  if (newest > head.number) {
    const message = `there is no operation ${newest}: the last is ${head.number}`;
    throw new PogoError("not-found", message, { hint: "see what was done: pogo op log" });
  }
  const oldest = request.limit === 0 ? 1 : Math.max(newest - request.limit + 1, 1);
  const undone = undoneOperations(await listReversals(sql, repositoryId, oldest));
  yield { operations: [], headNumber: head.number, headHash: head.hash };
  let operations: Operation[] = [];
  let bytes = 0;
  const message = () => ({ operations, headNumber: 0, headHash: new Uint8Array() });
  for (let next = newest; next >= oldest;) {
    const limit = Math.min(pageCount, next - oldest + 1);
    const rows = await listInDatabase(sql, repositoryId, next, limit);
    for (const row of rows) {
      for (const piece of operationMessages(row, undone.get(row.number))) {
        operations.push(piece);
        bytes += Operation.encode(piece).finish().length;
        if (bytes < operationAnswerBytes) continue;
        yield message();
        operations = [];
        bytes = 0;
      }
    }
    // A row that is missing is for the reader to find.
    next = (rows.at(-1)?.number ?? oldest) - 1;
  }
  if (operations.length > 0) yield message();
}
