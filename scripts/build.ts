/** Builds the executable: `bun run build` writes dist/pogo for this machine. */
import { statSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { writeEmbeddedTemplate } from "./embedded-template.ts";

const root = join(import.meta.dir, "..");

export type BuildOptions = {
  outfile: string;
  /** Another machine than this one, as Bun names it: `bun-linux-arm64-musl`. */
  target?: Bun.Build.CompileTarget;
  /** Where package.json, src and node_modules are. */
  directory?: string;
};

/** Compiles one executable, and says which native modules went into it. */
export async function build(options: BuildOptions): Promise<{ nativeModules: string[] }> {
  const { outfile, target, directory = root } = options;
  const template = await writeEmbeddedTemplate(root);
  const nativeModules: string[] = [];
  const result = await Bun.build({
    entrypoints: [
      join(directory, "src/main.ts"),
      // Workers are not found by following imports.
      join(directory, "src/server/db/embedded-worker.ts"),
      join(directory, "src/client/working-copy/verify-worker.ts"),
      join(directory, "src/client/working-copy/contents-worker.ts"),
    ],
    root: directory,
    // A command reads what it needs, and no more of the executable.
    splitting: true,
    minify: true,
    bytecode: true,
    format: "esm",
    sourcemap: "linked",
    // A release is what its source says: nothing of the machine that built it.
    env: "disable",
    compile: {
      outfile,
      ...(target && { target }),
      assets: [template],
      // A working copy is other people's files: none of them may decide what pogo runs.
      autoloadBunfig: false,
      autoloadDotenv: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
    plugins: [
      {
        name: "list native modules",
        setup(builder) {
          builder.onLoad({ filter: /\.node$/ }, ({ path }) => {
            nativeModules.push(basename(path));
            return undefined;
          });
        },
      },
    ],
  });
  for (const log of result.logs) console.error(String(log));
  // The executable holds them as well.
  const maps = new Bun.Glob("*.map").scanSync({ cwd: dirname(outfile), absolute: true });
  for (const map of maps) await rm(map, { force: true });
  return { nativeModules };
}

/** Builds dist/pogo unless it is newer than everything that it is made of; returns its path. */
export async function buildForThisMachine({ always = false } = {}): Promise<string> {
  const outfile = join(root, "dist", process.platform === "win32" ? "pogo.exe" : "pogo");
  if (!always && (await Bun.file(outfile).exists()) && isCurrent(outfile)) return outfile;
  await mkdir(join(root, "dist"), { recursive: true });
  const startedMs = performance.now();
  // Replaced rather than written into: it may be running.
  const draft = `${outfile}.${process.pid}`;
  const { nativeModules } = await build({ outfile: draft });
  await rename(draft, outfile);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const megabytes = Math.round(Bun.file(outfile).size / 1e6);
  console.log(`${outfile}: ${megabytes} MB in ${seconds} s, with ${nativeModules.join(", ")}`);
  return outfile;
}

function isCurrent(outfile: string): boolean {
  const { mtimeMs } = statSync(outfile);
  const sources = new Bun.Glob("{src,sql}/**/*").scanSync({ cwd: root, absolute: true });
  const inputs = [...sources, join(root, "package.json"), join(root, "bun.lock"), import.meta.path];
  return inputs.every((path) => statSync(path).mtimeMs <= mtimeMs);
}

if (import.meta.main) await buildForThisMachine({ always: true });
