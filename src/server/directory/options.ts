/** The file that says where an organisation keeps its people, and who they are here. */
import { isLoopback } from "#core/loopback.ts";
import { openOptionsFile } from "../options-file.ts";

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

/** Reads the file, which is JSON; files that it names are looked for beside it. */
export function readDirectoryOptions(path: string): DirectoryOptions {
  const { text, number, file, isSet, groups, wrong } = openOptionsFile(
    path,
    "how to reach the directory",
  );
  const options: DirectoryOptions = {
    url: text("url"),
    startTls: isSet("startTls"),
    roots: file("ca"),
    bindDn: text("bindDn", ""),
    bindPassword: file("bindPasswordFile")?.trimEnd() ?? "",
    base: text("base"),
    filter: text("filter", "(objectClass=person)"),
    userAttribute: text("userAttribute", "uid"),
    groups: groups(),
    checkSeconds: number("checkSeconds", 300, 86_400),
    tokenDays: number("tokenDays", 30, 3650),
  };
  const url = URL.parse(options.url);
  if (!url || !/^ldaps?:$/.test(url.protocol)) throw wrong(`"url" is not one of LDAP`);
  if (url.protocol === "ldaps:" || options.startTls || isLoopback(url.hostname)) return options;
  throw wrong(`passwords would travel to ${url.host} in the clear`, {
    hint: 'write ldaps:// or "startTls": true',
  });
}
