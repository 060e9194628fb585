/** Looking after a server's objects, as its operator does. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { engines, prepareDatabase, startMs } from "../support/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { rootToken, startServing } from "../support/serving.ts";

setDefaultTimeout(startMs);

test("objects on volumes, encrypted: verified, collected, moved, and refused without key", async () => {
  using pogo = openPogo({ POGO_TOKEN: rootToken });
  const { home } = pogo;
  const keys = join(home, "keys");
  await writeFile(keys, "word: passphrase correct horse battery staple\n");
  const data = join(home, "data");
  const volumes = [1, 2].map((number) => join(home, `volume-${number}`));
  await using database = await prepareDatabase(engines[0]!, data);
  const { databaseUrl } = database;
  const serving = {
    home,
    data,
    databaseUrl,
    options: ["--objects", volumes.join(","), "--keys", keys],
  };
  const work = join(home, "work");
  mkdirSync(work);
  {
    await using server = await startServing(serving);
    const { url } = server;
    const user = { cwd: work, environment: { POGO_SERVER: url } };
    await writeFile(join(work, "model.bin"), "the model");
    await pogo.ok(["init", ".", "--server", url, "--name", "game"], user);
    await pogo.ok(["push", "-m", "first"], user);

    expect(await pogo.ok(["verify", "--full"], user)).toBe("verified 2 trees, 1 objects\n");
    expect(await pogo.ok(["gc", "--dry-run"], user)).toBe("not needed: 0 objects, 0 B\n");
    expect(await pogo.ok(["gc"], user)).toBe("freed 0 objects, 0 B\n");
    expect(await pogo.ok(["admin", "rebalance"], user)).toBe("moved 0 of 1 objects, 0 B\n");
    expect((await pogo.run(["verify", "--sample", "2"], user)).exitCode).toBe(2);

    const names = await Promise.all(volumes.map((at) => readdir(at, { recursive: true })));
    const paths = names.flatMap((files, index) => files.map((file) => join(volumes[index]!, file)));
    await truncate(
      paths.find((path) => /[0-9a-f]{64}$/.test(path))!,
      30,
    );
    const damaged = await pogo.run(["verify"], user);
    expect(damaged.exitCode).toBe(8);
    expect(damaged.stdout).toMatch(/^object [0-9a-f]{64}: is damaged: malformed object: .*\n/);
    expect(damaged.stdout).toMatch(/\n {2}game: model\.bin, change [k-z]{16} by root\n/);
    expect(damaged.stderr).toContain("pogo: error: 1 thing is not as it must be\n");
    await pogo.ok(["push", "--repair"], user);
    expect((await pogo.run(["verify"], user)).exitCode).toBe(0);
  }
  await writeFile(keys, "word: passphrase a wrong one, sadly\n");
  await expect(startServing(serving)).rejects.toThrow(
    'the key "word" is not the one that the objects are encrypted with',
  );
  const without = { ...serving, options: serving.options.slice(0, 2) };
  await expect(startServing(without)).rejects.toThrow(
    'the objects are encrypted with the key "word"',
  );
});

test("a push that a quota forbids is refused before anything is sent", async () => {
  using pogo = openPogo({ POGO_TOKEN: rootToken });
  const data = join(pogo.home, "data");
  await using database = await prepareDatabase(engines[0]!, data);
  const { databaseUrl } = database;
  await using server = await startServing({ home: pogo.home, data, databaseUrl });
  const work = join(pogo.home, "work");
  mkdirSync(work);
  const user = { cwd: work, environment: { POGO_SERVER: server.url } };
  await pogo.ok(["init", ".", "--server", server.url, "--name", "game"], user);
  await writeFile(join(work, "small"), "a".repeat(1000));
  await pogo.ok(["push", "-m", "first"], user);
  await pogo.ok(["admin", "quota", "game", "6k"], user);
  // More than is asked about at once: the first of them alone would have fitted.
  for (const name of ["b", "c", "d"]) await writeFile(join(work, name), name.repeat(3000));
  const refused = await pogo.run(["push"], user);
  expect(refused.exitCode).toBe(6);
  expect(refused.stderr).toBe(
    "pogo: error: repository game may hold 6144 bytes: this is 3856 too many\n" +
      "pogo: hint: push less, or have an administrator of the server raise it: " +
      "pogo admin quota game SIZE\n",
  );
  const used = { repository: "game", objects: 1, rawBytes: 1000, uniqueBytes: 1000 };
  const usage = (await pogo.json(["admin", "du"], user)) as { repositories: object[] };
  expect(usage.repositories).toMatchObject([{ ...used, quotaBytes: 6144 }]);
  // What is there already takes no room.
  await writeFile(join(work, "c"), "a".repeat(1000));
  await writeFile(join(work, "d"), "b".repeat(3000));
  await pogo.ok(["push"], user);
  expect(await pogo.ok(["admin", "quota", "game", "none"], user)).toBe(
    "game may hold as much as it likes; it holds 4.0 kB\n",
  );
  const [head, game, total] = (await pogo.ok(["admin", "du"], user)).split("\n");
  expect(head).toMatch(/^repository +objects +raw +unique +stored +quota$/);
  expect(game).toMatch(/^game +2 +8\.0 kB +4\.0 kB +\d+ B +none$/);
  expect(total).toMatch(/^in the store +2 +\d+ B$/);
});
