import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "#core/hash.ts";
import { openDiskStore } from "#server/store/disk.ts";
import { names, objectOf, objectStoreSuite } from "../../suites/store.ts";

const scratch = mkdtempSync(join(tmpdir(), "pogo-disk-"));
afterAll(() => rmSync(scratch, { recursive: true }));
let count = 0;
const freshDirectory = () => join(scratch, String(count++), "objects");

function placeOf(directory: string, hash: Uint8Array): string {
  return join(directory, toHex(hash).slice(0, 2), toHex(hash));
}

objectStoreSuite("disk store", async () => {
  const directory = freshDirectory();
  const store = await openDiskStore(directory);
  return {
    store,
    async damage(hash, change) {
      const path = placeOf(directory, hash);
      await writeFile(path, change(await readFile(path)));
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

describe("disk store", () => {
  test("an object is one file, named by its hash, private to the server", async () => {
    const directory = freshDirectory();
    await using store = await openDiskStore(directory);
    const object = objectOf("hello");
    await store.putAll([object]);
    const path = placeOf(directory, object.hash);
    expect(await readFile(path)).toEqual(Buffer.from(object.encoded));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("what was put is there after a restart, and no temporary is left", async () => {
    const directory = freshDirectory();
    const objects = Array.from({ length: 100 }, (_, index) => objectOf(`object ${index}`));
    {
      await using store = await openDiskStore(directory);
      await store.putAll(objects);
    }
    expect(await readdir(join(directory, "incoming"))).toEqual([]);
    await using store = await openDiskStore(directory);
    expect(await names(store)).toEqual(objects.map(({ hash }) => toHex(hash)).sort());
  });

  test("two servers share a directory; one that ends takes nothing from the other", async () => {
    const directory = freshDirectory();
    const [one, two] = [objectOf("one"), objectOf("two")];
    await using first = await openDiskStore(directory);
    await first.putAll([one]);
    {
      await using second = await openDiskStore(directory);
      await second.putAll([two]);
      expect((await readdir(join(directory, "incoming"))).length).toBe(2);
    }
    await first.putAll([objectOf("three")]);
    expect((await names(first)).length).toBe(3);
  });

  test("temporaries are removed at the start only when nobody touched them for a day", async () => {
    const directory = freshDirectory();
    for (const name of ["old", "recent"]) {
      await mkdir(join(directory, "incoming", name), { recursive: true });
      await writeFile(join(directory, "incoming", name, "0"), "half an obj");
    }
    const longAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
    utimesSync(join(directory, "incoming", "old"), longAgo, longAgo);
    await using store = await openDiskStore(directory);
    expect(await readdir(join(directory, "incoming"))).toEqual(["recent"]);
    expect(await names(store)).toEqual([]);
  });

  test("a server that slept for days while another cleaned can still put", async () => {
    const directory = freshDirectory();
    await using store = await openDiskStore(directory);
    await store.putAll([objectOf("before")]);
    rmSync(join(directory, "incoming"), { recursive: true });
    await store.putAll([objectOf("after")]);
    expect((await names(store)).length).toBe(2);
  });

  test("files that are no objects are not listed", async () => {
    const directory = freshDirectory();
    await using store = await openDiskStore(directory);
    const { hash } = objectOf("misplaced");
    await mkdir(join(directory, "00"), { recursive: true });
    await writeFile(join(directory, "00", "notes.txt"), "");
    await writeFile(join(directory, "00", `ff${toHex(hash).slice(2)}`), "");
    await writeFile(join(directory, "README"), "");
    expect(await names(store)).toEqual([]);
  });

  test("a put of many lets other work have its turn", async () => {
    await using store = await openDiskStore(freshDirectory());
    const objects = Array.from({ length: 2000 }, (_, index) => objectOf(`turn ${index}`));
    let turns = 0;
    const ticking = setInterval(() => turns++, 0);
    await store.putAll(objects);
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(3);
  });

  test("a file in the directory's place is named, not replaced", async () => {
    const directory = join(scratch, "a-file");
    await writeFile(directory, "mine");
    await expect(openDiskStore(directory)).rejects.toMatchObject({
      code: "unavailable",
      message: `cannot open objects in ${directory}: not a directory`,
      hint: `move what stands at ${directory} out of the way`,
    });
    expect(await readFile(directory, "utf8")).toBe("mine");
  });

  test("a link in an object's place is not written through", async () => {
    const directory = freshDirectory();
    await using store = await openDiskStore(directory);
    const object = objectOf("through a link");
    const victim = join(directory, "..", "victim");
    await writeFile(victim, "mine");
    await mkdir(join(directory, toHex(object.hash).slice(0, 2)), { recursive: true });
    await symlink(victim, placeOf(directory, object.hash));
    await store.putAll([object]);
    expect(await readFile(victim, "utf8")).toBe("mine");
    expect(await readFile(placeOf(directory, object.hash))).toEqual(Buffer.from(object.encoded));
  });
});

// A mount that nobody else sees and that ends with the process: a disk of 1 MiB, then read-only.
const program = join(import.meta.dir, "../../support/full-disk-program.ts");
const script = `mount -t tmpfs -o size=1m none "$1" && exec "$2" "$3" "$1"`;
const canMount =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", scratch]).status === 0;

describe("disk that refuses", () => {
  test.skipIf(!canMount)(
    "a full or read-only disk is unavailable, and nothing is half done",
    () => {
      const directory = join(scratch, "mounted");
      const command = ["-rm", "sh", "-ec", `mkdir "$1"; ${script}`, "sh"];
      const child = spawnSync("unshare", [...command, directory, process.execPath, program], {
        encoding: "utf8",
      });
      expect(child.stderr).toBe("");
      const place = `${directory}/objects`;
      expect(child.stdout.trim().split("\n")).toEqual([
        `unavailable: cannot write objects in ${place}: the disk is full`,
        `hint: free space on the volume of ${place}`,
        "objects 1, temporaries 0",
        "after freeing: objects 2, temporaries 0",
        `unavailable: cannot write objects in ${place}: the file system is read-only`,
        `hint: mount ${place} writable`,
        "objects 2, temporaries 0",
        "reopened: objects 2",
      ]);
    },
  );

  // Root without its capabilities is refused like anybody else.
  const isRoot = process.getuid?.() === 0;
  const denied = join(import.meta.dir, "../../support/denied-directory-program.ts");
  const withoutPower = isRoot ? ["setpriv", "--bounding-set=-all"] : [];
  test.skipIf(process.platform !== "linux")("a directory of others is unavailable", async () => {
    const directory = freshDirectory();
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o500);
    const [file, ...argv] = [...withoutPower, process.execPath, denied, directory];
    const child = spawnSync(file!, argv, { encoding: "utf8" });
    expect(child.stderr + child.stdout).toBe(
      `unavailable: cannot write objects in ${directory}: permission denied\n` +
        `hint: give the server's user write access to ${directory}\n`,
    );
    expect(await readdir(directory)).toEqual([]);
  });
});
