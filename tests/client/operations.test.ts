import { expect, test } from "bun:test";

import { listOperations, verifyOperations } from "#client/operations.ts";
import type { Link } from "#core/chain.ts";
import type { Remote } from "#client/remote.ts";
import { PogoError } from "#core/errors.ts";
import { operationHash, type Operation } from "#core/operation.ts";
import type { OperationRow } from "#server/db/operation-log.ts";
import { operationMessages } from "#server/services/undo/operation-message.ts";
import { temporaryWorkspace } from "../support/workspace.ts";

const zeros = new Uint8Array(32);

/** A log, newest first, as the server has it. */
function logOf(count: number, kinds = "commit"): OperationRow[] {
  const rows: OperationRow[] = [];
  let previous: Uint8Array = zeros;
  for (let number = 1; number <= count; number++) {
    const operation: Operation = {
      number,
      kind: kinds,
      user: "ann",
      createdAt: 1_700_000_000_000 + number,
      requestId: new Uint8Array(16).fill(number),
      effects: { changes: [], bookmarks: [] },
      details: { version: number },
    };
    previous = operationHash(previous, operation);
    rows.unshift({ ...operation, hash: previous } as OperationRow);
  }
  return rows;
}

/** A repository whose log is that. */
function remoteOf(rows: readonly OperationRow[], head?: Link): Remote {
  async function* messages() {
    const { number, hash } = head ?? rows[0]!;
    yield { operations: [], headNumber: number, headHash: hash };
    for (const row of rows) {
      for (const operation of operationMessages(row)) {
        yield { operations: [operation], headNumber: 0, headHash: new Uint8Array() };
      }
    }
  }
  return { listOperations: messages } as unknown as Remote;
}

async function verify(...logs: Remote[]): Promise<string> {
  using temporary = temporaryWorkspace();
  let said = "";
  for (const log of logs) {
    try {
      const { number } = await verifyOperations(log, temporary.workspace.state);
      said = `${number} verified`;
    } catch (error) {
      if (!(error instanceof PogoError)) throw error;
      said = `${error.code}: ${error.message.replace("the log of operations was tampered with: ", "")}`;
    }
  }
  return said;
}

test("a log that nobody has touched is verified", async () => {
  expect(await verify(remoteOf(logOf(1)))).toBe("1 verified");
  expect(await verify(remoteOf(logOf(100)), remoteOf(logOf(120)))).toBe("120 verified");
});

test("of the rows that were altered the first is named", async () => {
  const rows = logOf(9);
  const altered = rows.map((row) => {
    return [3, 5].includes(row.number) ? { ...row, user: "mallory" } : row;
  });
  expect(await verify(remoteOf(altered))).toBe(
    "corrupt: operation 3 (commit by mallory, 2023-11-14T22:13:20.003Z) does not match its hash",
  );
  // With a hash of its own it is the next that does not follow.
  const rehashed = rows.map((row) => {
    if (row.number !== 3) return row;
    const forged = { ...row, user: "mallory" };
    return { ...forged, hash: operationHash(rows[7]!.hash, forged) };
  });
  expect(await verify(remoteOf(rehashed))).toContain("operation 4 (commit by ann");
  const reused = rows.map((row) => (row.number === 4 ? { ...row, hash: zeros } : row));
  expect(await verify(remoteOf(reused))).toContain("operation 4 (commit by ann");
});

test("rows that are missing are named, and an end that is another", async () => {
  const rows = logOf(9);
  const without = (number: number) => rows.filter((row) => row.number !== number);
  const { number, hash } = rows[0]!;
  for (const missing of [1, 4, 9]) {
    expect(await verify(remoteOf(without(missing), { number, hash }))).toBe(
      `corrupt: operation ${missing} is missing`,
    );
  }
  expect(await verify(remoteOf(rows, { number, hash: zeros }))).toContain(
    "operation 9 (commit by ann, 2023-11-14T22:13:20.009Z) is not the one that the log ends",
  );
});

test("a chain that was made anew, or cut off, is noticed by who verified it before", async () => {
  const [before, anew] = [remoteOf(logOf(9)), remoteOf(logOf(12, "describe"))];
  expect(await verify(anew)).toBe("12 verified");
  expect(await verify(before, anew)).toContain(
    "operation 9 (describe by ann, 2023-11-14T22:13:20.009Z) is another than was verified here",
  );
  expect(await verify(before, remoteOf(logOf(8)))).toBe(
    "corrupt: operation 9, which was verified here before, is not there any more",
  );
});

test("an operation that does not fit in a message comes in pieces and is put together", async () => {
  const changes = Array.from({ length: 2500 }, (_, index) => ({
    change: `change-${index}`,
    before: index % 2 === 0 ? null : { version: index, hidden: false },
    after: { version: index + 1, hidden: index % 3 === 0 },
  }));
  const bookmarks = [{ bookmark: "main", before: null, after: "change-1" }];
  const details = { conflicts: Array.from({ length: 300 }, () => "🦊é".repeat(170)) };
  const operation = { ...logOf(1)[0]!, effects: { changes, bookmarks }, details };
  const row: OperationRow = { ...operation, hash: operationHash(zeros, operation) };
  expect([...operationMessages(row)].length).toBe(3);
  const [listed] = await Array.fromAsync(listOperations(remoteOf([row]), { from: 0, limit: 0 }));
  expect(listed).toEqual({ ...row, undoneBy: undefined });
  expect(await verify(remoteOf([row]))).toBe("1 verified");
});
