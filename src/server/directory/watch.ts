/** Looks again and again whether those who came from the directory are still there. */
import { appendAudit } from "../db/audit.ts";
import { transaction, type Sql } from "../db/connect.ts";
import { listDirectoryUsers, setAbsent, setGroups } from "../db/directory.ts";
import type { Directory } from "./directory.ts";

const pageMax = 1000;

/** Begins to look. What goes wrong is told, and looked at again the next time. */
export function watchDirectory(
  { sql, directory }: { sql: Sql; directory: Directory },
  warn: (error: unknown) => void,
): Disposable {
  let isRunning = false;
  const look = () => {
    if (isRunning) return;
    isRunning = true;
    checkPeople({ sql, directory })
      .catch(warn)
      .finally(() => (isRunning = false));
  };
  const timer = setInterval(look, directory.options.checkSeconds * 1000);
  timer.unref();
  look();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Keeps out whoever is gone, lets in whoever is back, and puts all into their groups. */
export async function checkPeople({
  sql,
  directory,
}: {
  sql: Sql;
  directory: Directory;
}): Promise<void> {
  const all = Object.keys(directory.options.groups);
  for (let after = ""; ;) {
    const users = await listDirectoryUsers(sql, after, pageMax);
    const last = users.at(-1);
    if (!last) return;
    after = last.name;
    const people = await directory.find(users.map(({ name }) => name));
    const found = new Map(people.map((person) => [person.name, person]));
    for (const { userId, name, isAbsent } of users) {
      const person = found.get(name);
      await transaction(sql, async (tx) => {
        await setGroups(tx, userId, { all, own: person?.groups ?? [] });
        if (isAbsent === (person === undefined)) return;
        await setAbsent(tx, userId, person === undefined);
        await appendAudit(tx, {
          userId: null,
          userName: null,
          tokenName: null,
          address: new URL(directory.options.url).hostname,
          action: "directory",
          repositoryName: null,
          allowed: true,
          details: { user: name, absent: person === undefined },
        });
      });
    }
  }
}
