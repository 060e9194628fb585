/** A throwaway PostgreSQL on a Unix socket, for tests and the bench. */
import {
  mkdtempSync,
  chownSync,
  chmodSync,
  readdirSync,
  realpathSync,
  rmSync,
  existsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";

export type Cluster = AsyncDisposable & {
  /** Creates an empty database and says its URL. */
  createDatabase(name: string): Promise<string>;
  /** Ends it as a crash would, and starts it again where it was. */
  crash(): Promise<void>;
  start(): Promise<void>;
};

export type ClusterOptions = {
  /** Survives a crash of the machine, as people run it. Otherwise it is fast. */
  durable?: boolean;
  /** Listens on this port of 127.0.0.1 as well, and encrypts there. */
  tls?: { port: number; cert: string; key: string };
};

// It refuses to run as root.
const unprivilegedUser = "postgres";
const careless = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off";

/** Starts a cluster in a new directory. It is gone when it is disposed of. */
export async function startPostgres(options: ClusterOptions = {}): Promise<Cluster> {
  const { durable = false, tls } = options;
  const bin = postgresPrograms();
  if (!bin) throw new Error("PostgreSQL 15 or newer is not installed");
  const directory = mkdtempSync(join(tmpdir(), "pogo-postgres-"));
  giveAway(directory);
  const data = join(directory, "data");
  const control = [join(bin, "pg_ctl"), "-D", data, "-w", "-s"];
  const listening = tls
    ? `-c listen_addresses=127.0.0.1 -c port=${tls.port} -c ssl=on`
    : "-c listen_addresses=";
  const server = `${listening} -c unix_socket_directories='${directory}'`;
  const settings = `${server} ${durable ? "" : careless} -c max_connections=200`;
  const start = [...control, "-l", join(directory, "log"), "-o", settings, "start"];
  const crash = [...control, "-m", "immediate", "stop"];
  try {
    const initdb = [join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust"];
    await run([...initdb, "-E", "UTF8", "--no-locale", "--no-sync"]);
    if (tls) {
      for (const [name, text] of [
        ["server.crt", tls.cert],
        ["server.key", tls.key],
      ] as const) {
        writeFileSync(join(data, name), text, { mode: 0o600 });
        giveAway(join(data, name), 0o600);
      }
    }
    await run(start);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return {
    async createDatabase(name) {
      const port = tls ? ["-p", String(tls.port)] : [];
      await run([join(bin, "createdb"), "-h", directory, ...port, "-U", "postgres", name]);
      return `postgres://postgres@localhost/${name}?host=${directory}`;
    },
    crash: () => run(crash),
    start: () => run(start),
    async [Symbol.asyncDispose]() {
      await run(crash);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Finds the directory of PostgreSQL's programs, if it is installed. */
export function postgresPrograms(): string | undefined {
  const onPath = Bun.which("initdb");
  if (onPath) return dirname(realpathSync(onPath));
  const versions = "/usr/lib/postgresql";
  if (!existsSync(versions)) return undefined;
  const newest = readdirSync(versions)
    .map(Number)
    .sort((a, b) => b - a)[0];
  return newest !== undefined && newest >= 15 ? join(versions, String(newest), "bin") : undefined;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function giveAway(path: string, mode = 0o711): void {
  if (!isRoot()) return;
  const id = (flag: string) =>
    Number(Bun.spawnSync(["id", flag, unprivilegedUser]).stdout.toString());
  chownSync(path, id("-u"), id("-g"));
  chmodSync(path, mode);
}

async function run(command: string[]): Promise<void> {
  const asUser = isRoot() ? ["runuser", "-u", unprivilegedUser, "--", ...command] : command;
  const child = Bun.spawn(asUser, {
    // A directory that every user may stand in.
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", USER: userInfo().username },
    stdout: "ignore",
    stderr: "pipe",
  });
  const [code, text] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`${command[0]} failed (${code}): ${text.trim()}`);
}
