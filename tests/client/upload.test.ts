/** Large files that change while they are being sent. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Remote } from "#client/remote.ts";
import { uploadFiles, type UploadFile } from "#client/upload.ts";
import { hashWorkingFile } from "#client/working-copy/read.ts";
import { sha256, type Hash } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { startMs } from "../support/postgres.ts";
import { randomBytes } from "../support/random.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import { temporaryDirectory } from "../support/workspace.ts";

setDefaultTimeout(startMs);

const path = "large";
const size = 2 * objectBytesMax;

let server: TestServer;
let remote: Remote;
let root: string;
const opened = new AsyncDisposableStack();
const silent = { add() {} };

beforeAll(async () => {
  server = opened.use(await startTestServer("embedded"));
  remote = await createRemote(await server.user("ada"), "files");
  root = opened.use(temporaryDirectory()).path;
});
afterAll(() => opened.disposeAsync());

test("a large file that was edited since it was hashed is sent as it stands", async () => {
  write(1);
  const entry = hashed();
  const { atime, mtime } = statSync(join(root, path));
  const hash = write(2);
  // Its size and its time of modification tell nothing.
  utimesSync(join(root, path), atime, mtime);
  await uploadFiles({ remote, root }, [entry], silent);
  expect(entry.file.hash).toEqual(hash);
  expect(await isHeld(hash)).toBe(true);
});

test.each(["hashed", "not yet hashed"])(
  "a large file, %s, is not sent while it changes",
  async (known) => {
    const hash = write(3);
    const entry = hashed();
    if (known !== "hashed") entry.file.hash = undefined;
    let isEdited = false;
    const edit = {
      add() {
        if (!isEdited) write(4);
        isEdited = true;
      },
    };
    const sending = uploadFiles({ remote, root }, [entry], edit);
    await expect(sending).rejects.toThrow("changes while it is being read");
    expect(await isHeld(hash)).toBe(false);
  },
);

function write(seed: number): Hash {
  const bytes = randomBytes(seed, size);
  writeFileSync(join(root, path), bytes);
  return sha256(bytes);
}

function hashed(): UploadFile {
  return { path, file: hashWorkingFile(root, path) };
}

async function isHeld(hash: Hash): Promise<boolean> {
  return (await remote.findMissing([hash], [])).objects.length === 0;
}
