/** Collects garbage in a process of its own, to be killed: DATABASE OBJECTS TREES-IN-MEMORY. */
import { writeSync } from "node:fs";

import { connect } from "#server/db/connect.ts";
import { collect, collectDefaults } from "#server/gc/collect.ts";
import { openDiskStore } from "#server/store/disk.ts";

const [url, directory, memoryTreesMax] = process.argv.slice(2);
const sql = connect(url!);
await using store = await openDiskStore(directory!);
const options = { ...collectDefaults, memoryTreesMax: Number(memoryTreesMax) };
// Connected, and the next thing that it does is to collect.
await sql`select 1`;
writeSync(1, "begun\n");
for await (const _ of collect({ sql, store }, options));
await sql.end();
