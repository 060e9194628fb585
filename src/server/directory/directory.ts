/** People as an LDAP server knows them: whether a password is theirs, and their groups. */
import { rootCertificates } from "node:tls";

import { AndFilter, Client, EqualityFilter, FilterParser, OrFilter, type Entry } from "ldapts";

import { PogoError } from "#core/errors.ts";
import { directoryMs } from "#core/limits.ts";
import type { DirectoryOptions } from "./options.ts";

/** Somebody in the directory, and the groups of this server that this puts the person in. */
export type Person = { name: string; groups: string[] };

export type Directory = {
  /** The person whose name and password these are, if it is so. */
  verify(name: string, password: string): Promise<Person | undefined>;
  /** Those of the names that are people's. */
  find(names: readonly string[]): Promise<Person[]>;
  options: DirectoryOptions;
};

const namesPerSearch = 100;

/** Opens a directory. It is spoken to when it is asked. */
export function openDirectory(options: DirectoryOptions): Directory {
  const { base, filter, userAttribute } = options;

  async function search(client: Client, names: readonly string[]): Promise<Entry[]> {
    const named = names.map((value) => new EqualityFilter({ attribute: userAttribute, value }));
    const wanted = new AndFilter({
      filters: [FilterParser.parseString(filter), new OrFilter({ filters: named })],
    });
    const attributes = [userAttribute];
    const { searchEntries } = await client.search(base, { filter: wanted, attributes });
    return searchEntries;
  }

  /** Who is in which group, by the names that members are written under. */
  async function readGroups(client: Client): Promise<Map<string, Set<string>>> {
    const groups = new Map<string, Set<string>>();
    for (const [name, dn] of Object.entries(options.groups)) {
      const attributes = ["member", "uniqueMember", "memberUid"];
      const settings = { scope: "base", attributes } as const;
      const { searchEntries } = await client.search(dn, settings);
      const members = searchEntries.flatMap((entry) =>
        attributes.flatMap((attribute) => textsOf(entry, attribute)),
      );
      groups.set(name, new Set(members.map((member) => member.toLowerCase())));
    }
    return groups;
  }

  const personOf = (entry: Entry, groups: Map<string, Set<string>>): Person => {
    const [name = ""] = textsOf(entry, userAttribute);
    const isIn = (members: Set<string>) =>
      members.has(entry.dn.toLowerCase()) || members.has(name.toLowerCase());
    return { name, groups: [...groups].filter(([, them]) => isIn(them)).map(([group]) => group) };
  };

  return {
    options,
    verify: (name, password) =>
      using(options, async (client) => {
        const [entry, ...others] = await search(client, [name]);
        // Without a password many servers let anybody in, as nobody.
        if (!entry || others.length > 0 || password === "") return undefined;
        const person = personOf(entry, await readGroups(client));
        return (await isTheirs(options, entry.dn, password)) ? person : undefined;
      }),
    find: (names) =>
      using(options, async (client) => {
        const groups = await readGroups(client);
        const people: Person[] = [];
        for (let start = 0; start < names.length; start += namesPerSearch) {
          const entries = await search(client, names.slice(start, start + namesPerSearch));
          people.push(...entries.map((entry) => personOf(entry, groups)));
        }
        return people;
      }),
  };
}

/** Tells whether a password is right, on a connection of its own: it is somebody else's then. */
async function isTheirs(options: DirectoryOptions, dn: string, password: string) {
  const client = await connect(options);
  try {
    await client.bind(dn, password);
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === "InvalidCredentialsError") return false;
    throw unavailable(error);
  } finally {
    await client.unbind().catch(() => {});
  }
}

async function using<T>(options: DirectoryOptions, ask: (client: Client) => Promise<T>) {
  const client = await connect(options);
  try {
    if (options.bindDn !== "") await client.bind(options.bindDn, options.bindPassword);
    return await ask(client);
  } catch (error) {
    throw unavailable(error);
  } finally {
    await client.unbind().catch(() => {});
  }
}

async function connect({ url, startTls, roots }: DirectoryOptions): Promise<Client> {
  const ca = [...rootCertificates, ...(roots === undefined ? [] : [roots])].join("\n");
  const { protocol, hostname } = new URL(url);
  const tlsOptions = { ca, host: hostname.replace(/^\[(.*)\]$/, "$1"), rejectUnauthorized: true };
  const timeouts = { timeout: directoryMs, connectTimeout: directoryMs };
  const isSecure = protocol === "ldaps:";
  const client = new Client({ url, ...timeouts, ...(isSecure && { tlsOptions }) });
  try {
    if (startTls) await client.startTLS(tlsOptions);
  } catch (error) {
    await client.unbind().catch(() => {});
    throw unavailable(error);
  }
  return client;
}

function textsOf(entry: Entry, attribute: string): string[] {
  const key = Object.keys(entry).find((name) => name.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? [] : entry[key];
  return (Array.isArray(value) ? value : [value]).filter((text) => typeof text === "string");
}

function unavailable(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PogoError) return error;
  const message = `the directory does not answer: ${error.message || error.name}`;
  return new PogoError("unavailable", message, { cause: error });
}
