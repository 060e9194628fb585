/**
 * Runs the project's own Bun, and first installs what is missing. It needs Node with npm, or any
 * Bun, and nothing else: `node scripts/bun.mjs scripts/test.ts`.
 *
 * npm brings nothing but the Bun that package.json pins; that one installs everything as bun.lock
 * says. Neither runs install scripts of packages. So node_modules/.bin/bun may be a placeholder,
 * and the executable is taken from where it really is.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bootstrap = join(root, "node_modules/.bootstrap");
const lock = readFileSync(join(root, "bun.lock"), "utf8");
const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const version = devDependencies.bun;

let bun = findBun();
if (bun === undefined) {
  installBun();
  bun = findBun();
  if (bun === undefined) fail(`Bun ${version} does not run on this machine`);
}
installPackages(bun);
await run(findBun() ?? bun, process.argv.slice(2));

/** The pinned Bun: the one that runs this, or the one in either place where it is installed. */
function findBun() {
  const candidates = process.versions.bun === version ? [process.execPath] : [];
  for (const modules of [join(root, "node_modules"), join(bootstrap, "node_modules")]) {
    // Its install script, where it may run, moves the executable here.
    candidates.push(join(modules, "bun/bin/bun.exe"));
    const packages = join(modules, "@oven");
    if (!existsSync(packages)) continue;
    for (const name of readdirSync(packages)) {
      const file = process.platform === "win32" ? "bun.exe" : "bun";
      candidates.push(join(packages, name, "bin", file));
    }
  }
  return candidates.find((path) => {
    const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    return status === 0 && stdout.trim() === version;
  });
}

/** Installs the pinned Bun by npm, or by the other Bun that runs this. */
function installBun() {
  console.error(`installing Bun ${version}`);
  mkdirSync(bootstrap, { recursive: true });
  writeFileSync(join(bootstrap, "package.json"), '{ "private": true }\n');
  if (process.versions.bun) {
    return execute(process.execPath, ["add", "--exact", "--ignore-scripts", `bun@${version}`]);
  }
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--save-exact"];
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  execute(npm, ["install", ...options, `bun@${version}`], { shell: process.platform === "win32" });
  const installed = join(bootstrap, "node_modules/.package-lock.json");
  const { packages } = JSON.parse(readFileSync(installed, "utf8"));
  for (const [name, { integrity }] of Object.entries(packages)) {
    if (!lock.includes(`"${integrity}"`)) fail(`${name} is not what bun.lock says`);
  }
}

function execute(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: bootstrap,
    stdio: ["ignore", 2, 2],
    ...options,
  });
  if (status !== 0) fail(`${program} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

/** Installs what bun.lock says, unless that was done. */
function installPackages(program) {
  const stamp = join(root, "node_modules/.installed");
  const wanted = createHash("sha256").update(lock).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const args = ["install", "--frozen-lockfile", "--ignore-scripts"];
  execute(program, args, { cwd: root });
  writeFileSync(stamp, wanted);
}

/** Runs Bun with its own directory first in PATH, and ends as it ends. */
async function run(program, args) {
  const path = `${dirname(program)}${delimiter}${process.env.PATH ?? ""}`;
  const env = { ...process.env, PATH: path };
  const child = spawn(program, args, { stdio: "inherit", env });
  // Ctrl-C reaches the child by itself; a second one would end it in the middle of its ending.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  const [code, signal] = await new Promise((resolve) => {
    child.on("exit", (...ending) => resolve(ending));
  });
  process.exit(code ?? 128 + constants.signals[signal]);
}

function fail(message) {
  console.error(`pogo: error: ${message}`);
  process.exit(1);
}
