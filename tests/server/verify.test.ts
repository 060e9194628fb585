import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { sha256, toHex } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { connect } from "#server/db/connect.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { createRemote, startTestServer, testRootToken } from "../support/server.ts";

setDefaultTimeout(startMs);

const files = Object.fromEntries(
  Array.from({ length: 20 }, (_, index) => [`src/${index % 3}/file-${index}`, `text ${index}\n`]),
);

async function openScene() {
  const server = await startTestServer(engines[0]!);
  const channel = server.channel(testRootToken);
  const remote = await createRemote(channel, "verified");
  const { change } = await publish(remote, files);
  return {
    server,
    remote,
    change: change!.name,
    placeOf: (text: string) => {
      const name = toHex(sha256(Buffer.from(text)));
      return join(server.dataDirectory, "objects", name.slice(0, 2), name);
    },
    async verify(share: number) {
      const request = { share, repair: false, from: "" };
      const said = await Array.fromAsync(channel.serverStream(Storage.verify, request));
      const sum = (key: "trees" | "objects") => said.reduce((total, now) => total + now[key], 0);
      const findings = said.flatMap((now) => now.findings);
      return { trees: sum("trees"), objects: sum("objects"), findings };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe("verification", () => {
  test("finds what is gone, cut or altered, names the files, and nothing that is whole", async () => {
    await using scene = await openScene();
    // Four directories, the root, and the tree without entries.
    const all = { trees: 6, objects: 20, findings: [] };
    expect(await scene.verify(0)).toEqual(all);
    expect(await scene.verify(1)).toEqual(all);
    const { objects } = await scene.verify(0.3);
    expect(objects).toBeLessThan(20);
    await rm(scene.placeOf("text 3\n"));
    await truncate(scene.placeOf("text 4\n"), 26);
    // The header and the checksum are right: only the hash can tell.
    await writeFile(scene.placeOf("text 5\n"), encodeObject(Buffer.from("else 5\n")));
    const problems = ({ findings }: Awaited<ReturnType<typeof scene.verify>>) =>
      findings
        .map(({ kind, affected, problem }) => [kind, affected.map(({ path }) => path), problem])
        .sort();
    const objectOf = (text: string) => toHex(sha256(Buffer.from(text)));
    const found = [
      ["object", ["src/0/file-3"], "has disappeared from the store"],
      [
        "object",
        ["src/1/file-4"],
        "is damaged: malformed object: the payload has another size than declared",
      ],
    ];
    expect(problems(await scene.verify(0))).toEqual(found);
    const full = await scene.verify(1);
    const altered = ["object", ["src/2/file-5"], "has other contents than its hash says"];
    expect(problems(full)).toEqual([...found, altered]);
    const third = full.findings.find(({ hash }) => toHex(hash) === objectOf("text 3\n"));
    const [affected] = third!.affected;
    expect(affected).toEqual({
      repository: "verified",
      path: "src/0/file-3",
      change: scene.change,
      author: "root",
    });
    // Who is asked again sends what was found damaged.
    const asked = [sha256(Buffer.from("text 3\n")), sha256(Buffer.from("text 6\n"))];
    expect((await scene.remote.findMissing(asked, [])).objects).toEqual([0]);
    for (const text of ["text 3\n", "text 5\n"]) {
      const bytes = encodeObject(Buffer.from(text));
      await scene.remote.putObjects([{ hash: sha256(Buffer.from(text)), bytes }]);
    }
    expect((await scene.verify(1)).findings.length).toBe(1);
    expect((await readFile(scene.placeOf("text 3\n"))).length).toBeGreaterThan(24);
  });

  test.skipIf(engines[0] !== "postgres")("finds trees that are gone, or wrong", async () => {
    await using scene = await openScene();
    const sql = connect(scene.server.databaseUrl!);
    try {
      const [root] = await sql<{ tree: Uint8Array }[]>`select tree from versions`;
      const [leaf] = await sql<{ hash: Uint8Array }[]>`
        select hash from trees where file_count = 7 order by hash limit 1`;
      await sql`update trees set byte_count = byte_count + 1 where hash = ${root!.tree}`;
      await sql`update trees set data = data || decode('00', 'hex') where hash = ${leaf!.hash}`;
      await sql`delete from trees where file_count = 6`;
      const { findings } = await scene.verify(0);
      expect(findings.every(({ kind }) => kind === "tree")).toBe(true);
      expect(
        findings.map(({ problem }) => problem.replace(/[0-9a-f]{64}/g, "HASH")).sort(),
      ).toEqual([
        "counts its files wrongly",
        'the repository does not hold tree HASH: "2" in tree HASH',
        "tree HASH has other bytes than its hash says",
      ]);
      await sql`delete from trees where hash = ${root!.tree}`;
      const [first] = (await scene.verify(0)).findings;
      expect(first).toMatchObject({
        kind: "version",
        problem: `version 1 of change ${scene.change}, by root, has lost its tree`,
        repository: "verified",
      });
    } finally {
      await sql.end({ timeout: 1 });
    }
  });
});
