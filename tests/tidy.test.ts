/** What holds for all of the source: layers, sizes, constructs that we do without. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const linesMax = 400;
const columnsMax = 100;
const functionLinesMax = 70;

type Source = { path: string; text: string; lines: string[]; imports: string[] };

const sources = ["src", "tests", "scripts"].flatMap(readSources);
const own = sources.filter(({ path }) => path.startsWith("src/") && !path.startsWith("src/gen/"));

/** Layers and the layers that they may import. */
const layers: Record<string, string[]> = {
  core: [],
  gen: [],
  native: ["core"],
  rpc: ["core", "gen"],
  client: ["core", "gen", "rpc", "native"],
  server: ["core", "gen", "rpc", "native"],
  cli: ["core", "gen", "rpc", "client", "server"],
  "main.ts": ["cli"],
};

/** Packages and the only places that may name them. */
const packages: Record<string, RegExp> = {
  "hash-wasm": /^src\/core\//,
  fflate: /^src\/core\//,
  "@bufbuild/protobuf": /^src\/gen\//,
  "@grpc/grpc-js": /^src\/(rpc|gen)\//,
  "@napi-rs/keyring": /^src\/client\/credentials\.ts$/,
  ignore: /^src\/client\//,
  postgres: /^src\/server\/db\//,
  "@electric-sql/pglite": /^src\/server\/db\/embedded-worker\.ts$/,
  "lru-cache": /^src\/server\/services\/merge\//,
  "openid-client": /^src\/server\/sso\//,
  jose: /^src\/server\/sso\//,
  ldapts: /^src\/server\/directory\//,
  citty: /^src\/cli\/[a-z-]+\.ts$/,
};

// Files of the server that compose what must not meet elsewhere.
const composers = /^src\/server\/(services\/.*|(gc|backup)(\/.*)?|server)(\.ts)?$/;

test("layers import what is below them", () => {
  const wrong = own.flatMap(({ path, imports }) =>
    imports.flatMap((target) => {
      const from = layerOf(path);
      const to = layerOfImport(path, target);
      if (to === undefined || to === from || layers[from]?.includes(to)) return [];
      return [`${path} imports ${target}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test("an import across layers is written with #, one within a layer with a dot", () => {
  const wrong = own.flatMap(({ path, imports }) =>
    imports.flatMap((target) => {
      const to = layerOfImport(path, target);
      if (to === undefined) return [];
      const isWithin = to === layerOf(path);
      return target.startsWith(isWithin ? "." : "#") ? [] : [`${path} imports ${target}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test("database and object store meet only where they are composed", () => {
  const wrong = own.flatMap(({ path, imports }) => {
    if (composers.test(path)) return [];
    const met = imports.map((target) => resolveImport(path, target) ?? "");
    const isDatabase = (file: string) => file.startsWith("src/server/db/");
    const isStore = (file: string) => file.startsWith("src/server/store/");
    const touchesDatabase = isDatabase(path) || met.some(isDatabase);
    const touchesStore = isStore(path) || met.some(isStore);
    return touchesDatabase && touchesStore ? [path] : [];
  });
  expect(wrong).toEqual([]);
});

test("a package is named only where it belongs", () => {
  const wrong = own.flatMap(({ path, imports }) =>
    imports.flatMap((target) => {
      if (/^[.#]|^(node|bun):|^bun$/.test(target)) return [];
      const name = target
        .split("/")
        .slice(0, target.startsWith("@") ? 2 : 1)
        .join("/");
      return packages[name]?.test(path) ? [] : [`${path} imports ${target}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test("only src/native calls into libraries of the system", () => {
  const wrong = own.filter(({ path, imports }) => {
    return imports.includes("bun:ffi") && !path.startsWith("src/native/");
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("the core does no I/O and asks no clock", () => {
  const impure = /\bBun\.(file|write|spawn|serve|sleep)|\bDate\.now|\bprocess\.|performance\.now/;
  const wrong = own.filter(({ path, text, imports }) => {
    const isIo = imports.some((target) => /^node:(?!buffer|zlib)|^bun:/.test(target));
    return path.startsWith("src/core/") && (isIo || impure.test(withoutComments(text)));
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("the environment is read in the command line's context and nowhere else", () => {
  const wrong = own.filter(({ path, text }) => {
    const mayRead = path.startsWith("src/cli/") || path === "src/server/server.ts";
    return !mayRead && /process\.env|Bun\.env/.test(withoutComments(text));
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("commands neither write to the process's streams nor end it", () => {
  const wrong = own.filter(({ path, text }) => {
    const ending = /process\.(exit|std(out|err))|console\./;
    return path.startsWith("src/cli/commands/") && ending.test(withoutComments(text));
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test(`a file has at most ${linesMax} lines, and a line ${columnsMax} columns`, () => {
  const wrong = sources.flatMap(({ path, lines }) => {
    if (path.startsWith("src/gen/")) return [];
    const long = lines.findIndex((line) => columnsOf(line) > columnsMax);
    return [
      ...(lines.length - 1 > linesMax ? [`${path}: ${lines.length - 1} lines`] : []),
      ...(long >= 0 ? [`${path}:${long + 1}: longer than ${columnsMax} columns`] : []),
    ];
  });
  expect(wrong).toEqual([]);
});

test(`a function has at most ${functionLinesMax} lines`, () => {
  const wrong = own.flatMap(({ path, lines }) => {
    const found: string[] = [];
    for (const [index, line] of lines.entries()) {
      const indent = /^( *)(export )?(async )?function\b/.exec(line)?.[1];
      if (indent === undefined) continue;
      const end = lines.findIndex((other, at) => at > index && other === `${indent}}`);
      const length = end - index + 1;
      // A function that only holds others, as a factory does, is as long as they are together.
      const inner = lines
        .slice(index + 1, end)
        .some((other) => /^ +(async )?function\b/.test(other));
      if (length > functionLinesMax && !inner) found.push(`${path}:${index + 1}: ${length} lines`);
    }
    return found;
  });
  expect(wrong).toEqual([]);
});

test("there are no default exports, enums, namespaces, decorators or parameter properties", () => {
  const banned = [
    /^export default\b/m,
    /^(export )?(declare )?(const )?enum \w/m,
    /^(export )?(declare )?namespace \w/m,
    /^\s*@\w+(\(.*\))?$/m,
    /constructor\([^)]*\b(private|public|protected|readonly) \w+/,
  ];
  const wrong = sources.flatMap(({ path, text }) => {
    if (path.startsWith("src/gen/") || path.endsWith(".d.ts")) return [];
    const code = withoutComments(text);
    return banned.filter((pattern) => pattern.test(code)).map((pattern) => `${path}: ${pattern}`);
  });
  expect(wrong).toEqual([]);
});

test("files are named for what they hold", () => {
  const vague = /(^|\/)(utils?|helpers?|common|types|misc|manager|index)(\.test)?\.ts$/;
  const wrong = sources.filter(({ path }) => {
    return !path.startsWith("src/gen/") && (vague.test(path) || /[A-Z_]/.test(path));
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("every migration is listed", () => {
  const migrations = readFileSync(join(root, "src/server/db/migrate.ts"), "utf8");
  const files = [...new Bun.Glob("*.sql").scanSync(join(root, "sql"))];
  expect(files.filter((file) => !migrations.includes(`sql/${file}"`))).toEqual([]);
});

test("every command is listed", () => {
  const program = readFileSync(join(root, "src/main.ts"), "utf8");
  const files = [...new Bun.Glob("**/*.ts").scanSync(join(root, "src/cli/commands"))];
  expect(files.filter((file) => !program.includes(`#cli/commands/${file}"`))).toEqual([]);
});

test("every worker is built into the executable", () => {
  const builder = readFileSync(join(root, "scripts/build.ts"), "utf8");
  const workers = own.filter(({ path }) => path.endsWith("-worker.ts"));
  const absent = workers.filter(({ path }) => !builder.includes(`"${path}"`));
  expect(absent.map(({ path }) => path)).toEqual([]);
});

test("what is exported is used", () => {
  const wrong = own.flatMap(({ path, text }) => {
    const names = [...text.matchAll(/^export (?:async )?(?:function\*?|const|class) (\w+)/gm)];
    return names.flatMap(([, name = ""]) => {
      const word = new RegExp(`\\b${name}\\b`);
      const isUsed = sources.some((other) => other.path !== path && word.test(other.text));
      return isUsed ? [] : [`${path}: ${name}`];
    });
  });
  expect(wrong).toEqual([]);
});

function readSources(folder: string): Source[] {
  if (!existsSync(join(root, folder))) return [];
  const files = [...new Bun.Glob("**/*.{ts,mjs}").scanSync(join(root, folder))].sort();
  return files.map((file) => {
    const text = readFileSync(join(root, folder, file), "utf8");
    return {
      path: `${folder}/${file}`,
      text,
      lines: text.split("\n"),
      imports: importsOf(withoutComments(text)),
    };
  });
}

function importsOf(code: string): string[] {
  const statements = code.matchAll(
    /^(?:import|export)\s(?:[^;"'`()=]*?\sfrom\s+)?["']([^"']+)["']/gm,
  );
  const calls = code.matchAll(/\bimport\(\s*["']([^"']+)["']/g);
  return [...statements, ...calls].map(([, target = ""]) => target);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

/** Length of a line but for the texts in it, which no formatter breaks. */
function columnsOf(line: string): number {
  if (/^\s*(\/\/|\*|\/\*\*)/.test(line) && !/https?:/.test(line)) return [...line].length;
  return [...line.replace(/"(\\.|[^"\\])*"|`[^`]*`|'[^']*'|\/[^/ ]+\/[a-z]*/g, "")].length;
}

function layerOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function layerOfImport(path: string, target: string): string | undefined {
  const file = resolveImport(path, target);
  return file?.startsWith("src/") ? layerOf(file) : undefined;
}

function resolveImport(path: string, target: string): string | undefined {
  if (target.startsWith("#")) return `src/${target.slice(1)}`;
  if (!target.startsWith(".")) return undefined;
  return relative(root, resolve(root, dirname(path), target));
}
