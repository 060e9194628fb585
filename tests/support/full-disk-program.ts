/** Puts to a store on a small mount until it is full, then read-only, and says what happened. */
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { sha256 } from "#core/hash.ts";
import { isPogoError } from "#core/errors.ts";
import { encodeObject } from "#core/object.ts";
import { openDiskStore } from "#server/store/disk.ts";

const mount = process.argv[2]!;
const directory = `${mount}/objects`;
const ballast = `${mount}/ballast`;
const objectOf = (text: string) => {
  const raw = Buffer.from(text);
  return { hash: sha256(raw), encoded: encodeObject(raw) };
};

const store = await openDiskStore(directory);
await store.putAll([objectOf("first")]);
writeFileSync(ballast, new Uint8Array(700 * 1024));
const large = { hash: sha256(new Uint8Array(1)), encoded: encodeObject(randomBytes()) };
const small = objectOf("second");
await tell(() => store.putAll([small, large]));
rmSync(ballast);
await store.putAll([small]);
console.log(`after freeing: ${await state()}`);
spawnSync("mount", ["-o", "remount,ro", mount], { stdio: "inherit" });
await tell(() => store.putAll([objectOf("third")]));
const reopened = await openDiskStore(directory);
console.log(`reopened: objects ${(await Array.fromAsync(reopened.list())).length}`);

async function tell(work: () => Promise<void>): Promise<void> {
  try {
    await work();
    console.log("no failure");
  } catch (error) {
    if (!isPogoError(error)) throw error;
    console.log(`${error.code}: ${error.message}\nhint: ${error.hint}\n${await state()}`);
  }
}

async function state(): Promise<string> {
  const objects = await Array.fromAsync(store.list());
  const temporaries = readdirSync(`${directory}/incoming`).flatMap((name) =>
    readdirSync(`${directory}/incoming/${name}`),
  );
  return `objects ${objects.length}, temporaries ${temporaries.length}`;
}

function randomBytes(): Uint8Array {
  const bytes = new Uint8Array(512 * 1024);
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}
