/**
 * Builds the executables of a release: `bun run release` writes dist/release/, with SHA-256 sums.
 * The native modules of other machines are installed into a copy of the package files, so that the
 * checkout's own node_modules stay as they are.
 */
import { copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { version } from "#core/version.ts";
import { build } from "./build.ts";

const root = join(import.meta.dir, "..");
const releaseDirectory = join(root, "dist/release");

/** What we release: Bun's name of the machine, and the keyring's for the same. */
const targets: [Bun.Build.CompileTarget, keyring: string][] = [
  ["bun-linux-x64", "linux-x64-gnu"],
  ["bun-linux-arm64", "linux-arm64-gnu"],
  ["bun-linux-x64-musl", "linux-x64-musl"],
  ["bun-linux-arm64-musl", "linux-arm64-musl"],
  ["bun-darwin-x64", "darwin-x64"],
  ["bun-darwin-arm64", "darwin-arm64"],
  ["bun-windows-x64", "win32-x64-msvc"],
];

const scratch = await mkdtemp(join(tmpdir(), "pogo-release-"));
try {
  await installEverywhere(scratch);
  await rm(releaseDirectory, { recursive: true, force: true });
  await mkdir(releaseDirectory, { recursive: true });
  const sums: string[] = [];
  for (const [target, keyring] of targets) {
    const path = await release(target, keyring);
    const name = basename(path);
    sums.push(`${await sha256(path)}  ${name}`);
    console.log(`${name}: ${Math.round(Bun.file(path).size / 1e6)} MB`);
  }
  await Bun.write(join(releaseDirectory, "SHA256SUMS"), `${sums.join("\n")}\n`);
  console.log(`wrote ${targets.length} executables to ${releaseDirectory}`);
} finally {
  await rm(scratch, { recursive: true, force: true });
}

async function installEverywhere(directory: string): Promise<void> {
  for (const file of ["package.json", "bun.lock", "tsconfig.json"]) {
    await copyFile(join(root, file), join(directory, file));
  }
  for (const folder of ["src", "sql", "patches"]) {
    await cp(join(root, folder), join(directory, folder), { recursive: true });
  }
  const options = [
    "--os=*",
    "--cpu=*",
    "--libc=*",
    "--production",
    "--frozen-lockfile",
    "--ignore-scripts",
  ];
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, "install", ...options], {
    cwd: directory,
  });
  if (exitCode !== 0) throw new Error(`bun install failed: ${stderr.toString()}`);
}

async function release(target: Bun.Build.CompileTarget, keyring: string): Promise<string> {
  const name = `pogo-${version}-${target.replace("bun-", "")}`;
  const outfile = join(releaseDirectory, target.includes("windows") ? `${name}.exe` : name);
  const { nativeModules } = await build({ outfile, target, directory: scratch });
  // Bun leaves out in silence what is not installed, and pogo would have no keyring there.
  if (!nativeModules.includes(`keyring.${keyring}.node`)) {
    throw new Error(`${name} lacks the keyring's ${keyring}; it has ${nativeModules.join(", ")}`);
  }
  return outfile;
}

async function sha256(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const bytes of Bun.file(path).stream()) hasher.update(bytes);
  return hasher.digest("hex");
}
