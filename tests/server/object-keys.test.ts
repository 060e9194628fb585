import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";

import { migrate } from "#server/db/migrate.ts";
import { openDataKeys } from "#server/object-keys.ts";
import { engines, openTestDatabase, startMs } from "../support/postgres.ts";

setDefaultTimeout(startMs);

const database = await openTestDatabase(engines[0]!);
const { sql } = database;
await migrate(sql);
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(() => sql`delete from object_keys`.then(() => {}));

const line = (id: string) => `${id}: ${randomBytes(32).toString("base64")}`;

describe("keys of encryption at rest", () => {
  test("without any nothing is encrypted", async () => {
    expect(await openDataKeys(sql, undefined)).toBeUndefined();
  });

  test("a data key is made once, and is the same ever after", async () => {
    const key = `# of the studio\n\n${line("2026")}\n`;
    const made = await openDataKeys(sql, key);
    expect(made?.current).toBe(1);
    expect(made?.keys.get(1)?.length).toBe(32);
    expect(await openDataKeys(sql, key)).toEqual(made);
  });

  test("a new first key wraps anew what the old one wrapped, which may go then", async () => {
    const [old, next] = [line("old"), line("next")];
    const made = await openDataKeys(sql, old);
    expect(await openDataKeys(sql, `${next}\n${old}`)).toEqual(made);
    expect(await openDataKeys(sql, next)).toEqual(made);
    await expect(openDataKeys(sql, old)).rejects.toMatchObject({
      message: 'the objects are encrypted with the key "next", and not with "old"',
    });
  });

  test("a passphrase is a key, and another one of that id is told apart", async () => {
    const made = await openDataKeys(sql, "word: passphrase correct horse battery staple");
    expect(await openDataKeys(sql, "word: passphrase correct horse battery staple")).toEqual(made);
    await expect(openDataKeys(sql, "word: passphrase something else")).rejects.toMatchObject({
      code: "usage",
      message: 'the key "word" is not the one that the objects are encrypted with',
    });
  });

  test("a key that is left out is asked for", async () => {
    await openDataKeys(sql, line("2026"));
    await expect(openDataKeys(sql, undefined)).rejects.toMatchObject({
      code: "usage",
      message: 'the objects are encrypted with the key "2026"',
      hint: "start with that key: --keys FILE, or POGO_KEYS",
    });
  });

  test("what is not a key is refused without being told", async () => {
    const refused: Record<string, string> = {
      "": "there are no keys",
      "no colon": "line 1 of the keys is not one",
      "id: c2hvcnQ=": "line 1 of the keys is not 32 bytes in base64",
      "id: passphrase short": "line 1 of the keys is a passphrase of less than 12 characters",
      [`${line("id")}\n${line("id")}`]: "two keys have the same id",
    };
    for (const [text, message] of Object.entries(refused)) {
      await expect(openDataKeys(sql, text)).rejects.toMatchObject({ code: "usage", message });
    }
  });
});
