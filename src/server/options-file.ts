/** Files of options, in JSON, that say whom the server asks who somebody is. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { checkGroupName } from "#core/name.ts";

/** Opens one. `lack` is what is to be told of it when something in it is wrong. */
export function openOptionsFile(path: string, lack: string) {
  const wrong = (why: string, options: { hint?: string } = {}) =>
    new PogoError("usage", `${path} does not say ${lack}: ${why}`, options);
  const given = parseObject(readText(path));
  if (!given) throw wrong("it is not a JSON object");

  function text(key: string, unlessGiven?: string): string {
    const value = given?.[key] ?? unlessGiven;
    if (typeof value === "string" && (value !== "" || unlessGiven === "")) return value;
    throw wrong(`"${key}" is not given as a text`);
  }

  return {
    wrong,
    text,
    isSet: (key: string): boolean => given[key] === true,
    number(key: string, unlessGiven: number, most: number): number {
      const value = given[key] ?? unlessGiven;
      if (typeof value === "number" && value > 0 && value <= most) return value;
      throw wrong(`"${key}" is not a number up to ${most}`);
    },
    /** What a file holds that the options name; it is looked for beside them. */
    file(key: string): string | undefined {
      const name = text(key, "");
      return name === "" ? undefined : readText(resolve(dirname(path), name));
    },
    /** Groups of this server, and who is in them elsewhere. */
    groups(): Record<string, string> {
      const groups = given["groups"] ?? {};
      if (typeof groups !== "object") throw wrong('"groups" is not an object');
      for (const [name, value] of Object.entries(groups)) {
        checkGroupName(name);
        if (typeof value !== "string") throw wrong(`group ${name} names no group there`);
      }
      return groups as Record<string, string>;
    },
  };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new PogoError("usage", `${path} cannot be read`, { cause });
  }
}
