/** The file that says where an organisation keeps its people, and who they are here. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { checkGroupName } from "#core/name.ts";

export type DirectoryOptions = {
  /** `ldaps://HOST`, or `ldap://HOST` with StartTLS. */
  url: string;
  startTls: boolean;
  /** Authorities beside the usual ones, in PEM. */
  roots: string | undefined;
  /** Who looks people up; without, anyone may. */
  bindDn: string;
  bindPassword: string;
  /** Below which people are, which entries are people, and what is their name here. */
  base: string;
  filter: string;
  userAttribute: string;
  /** Groups of this server, and the group of the directory whose members are in it. */
  groups: Record<string, string>;
  /** Whoever is gone from the directory is kept out after this long. */
  checkSeconds: number;
  /** How long a token is good that somebody logged in for. */
  tokenDays: number;
};

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Reads the file, which is JSON; files that it names are looked for beside it. */
export function readDirectoryOptions(path: string): DirectoryOptions {
  const given = parse(path);
  const text = (key: string, unlessGiven?: string): string => {
    const value = given[key] ?? unlessGiven;
    if (typeof value === "string") return value;
    throw wrong(path, `"${key}" is not given as a text`);
  };
  const number = (key: string, unlessGiven: number, most: number): number => {
    const value = given[key] ?? unlessGiven;
    if (typeof value === "number" && value >= 1 && value <= most) return value;
    throw wrong(path, `"${key}" is not a number from 1 to ${most}`);
  };
  const file = (key: string): string | undefined => {
    const name = text(key, "");
    return name === "" ? undefined : readText(resolve(dirname(path), name));
  };
  const options: DirectoryOptions = {
    url: text("url"),
    startTls: given["startTls"] === true,
    roots: file("ca"),
    bindDn: text("bindDn", ""),
    bindPassword: file("bindPasswordFile")?.trimEnd() ?? "",
    base: text("base"),
    filter: text("filter", "(objectClass=person)"),
    userAttribute: text("userAttribute", "uid"),
    groups: readGroups(path, given["groups"]),
    checkSeconds: number("checkSeconds", 300, 86_400),
    tokenDays: number("tokenDays", 30, 3650),
  };
  checkUrl(path, options);
  return options;
}

function checkUrl(path: string, { url, startTls }: DirectoryOptions): void {
  const parsed = URL.parse(url);
  if (!parsed || !/^ldaps?:$/.test(parsed.protocol)) throw wrong(path, `"url" is not one of LDAP`);
  if (parsed.protocol === "ldaps:" || startTls || loopback.test(parsed.hostname)) return;
  throw wrong(path, `passwords would travel to ${parsed.host} in the clear`, {
    hint: 'write ldaps:// or "startTls": true',
  });
}

function readGroups(path: string, given: unknown): Record<string, string> {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null) throw wrong(path, '"groups" is not an object');
  for (const [name, dn] of Object.entries(given)) {
    checkGroupName(name);
    if (typeof dn !== "string") throw wrong(path, `group ${name} names no group of the directory`);
  }
  return given as Record<string, string>;
}

function parse(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readText(path));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (error instanceof PogoError) throw error;
  }
  throw wrong(path, "it is not a JSON object");
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new PogoError("usage", `${path} cannot be read`, { cause });
  }
}

function wrong(path: string, why: string, options: { hint?: string } = {}): PogoError {
  return new PogoError("usage", `${path} does not say how to reach the directory: ${why}`, options);
}
