/**
 * Generates src/gen from proto/. With --check, fails when src/gen is not what would be generated.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const generated = join(root, "src/gen");

async function run(...command: string[]): Promise<void> {
  const child = Bun.spawn(command, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
}

async function generate(output: string): Promise<void> {
  const template = await Bun.file(join(root, "buf.gen.yaml")).text();
  const here = JSON.stringify({
    version: "v2",
    ...(Bun.YAML.parse(template) as object),
    plugins: (Bun.YAML.parse(template) as { plugins: object[] }).plugins.map((plugin) => ({
      ...plugin,
      out: output,
    })),
  });
  await run("node_modules/.bin/buf", "lint");
  // Bun stands in for Node, which ts-proto's launcher asks for.
  await run(
    process.execPath,
    "run",
    "--bun",
    "node_modules/.bin/buf",
    "generate",
    "--template",
    here,
  );
  await run(process.execPath, "fmt", output);
}

if (process.argv.includes("--check")) {
  const scratch = await mkdtemp(join(tmpdir(), "pogo-gen-"));
  try {
    await generate(scratch);
    await run("diff", "-r", generated, scratch);
  } finally {
    await rm(scratch, { recursive: true });
  }
} else {
  await generate(generated);
}
