/**
 * Random operations by four clients of two users, one of whom works in a directory, against a
 * server that is killed now and then; beside it a model in memory. After every operation what the
 * server says is what the model says. At last the repository is restored to random points.
 *
 * POGO_TEST_LOAD=full makes 10,000 operations on PostgreSQL (`bun run test --model`), else it is
 * 20 on each engine; POGO_TEST_SEED repeats a run.
 */
import { test } from "bun:test";

import { engines } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { runModel } from "./run.ts";

const isFull = process.env["POGO_TEST_LOAD"] === "full";
const size = isFull
  ? { operations: 10_000, restores: 100, visibleMax: 36 }
  : { operations: 20, restores: 2, visibleMax: 20 };

test.each(isFull ? engines.slice(0, 1) : engines)(
  "whatever clients do, the server is where a simple model is: %s",
  async (engine) => {
    const { seed } = seededRandom();
    console.log(`seed ${seed}`);
    console.log(`  ${await runModel({ engine, seed, ...size })}`);
  },
  60_000 + size.operations * 1000,
);
