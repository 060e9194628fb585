/**
 * `npm start`: builds the executable if need be, runs the server on its embedded database, and
 * says what to type next. Options after `--` go to `pogo serve`.
 */
import { dirname } from "node:path";

import { buildForThisMachine } from "./build.ts";

// Ctrl-C reaches the server by itself; what ends this script is the server's end.
process.on("SIGINT", () => {});

const executable = await buildForThisMachine();
const server = Bun.spawn([executable, "serve", "--json", ...process.argv.slice(2)], {
  stdin: "ignore",
  stdout: "pipe",
  stderr: "inherit",
});
process.on("SIGTERM", () => server.kill("SIGTERM"));

let rootToken: string | undefined;
for await (const line of lines(server.stdout)) {
  const said = JSON.parse(line);
  rootToken ??= said.rootToken;
  if (said.url) console.log(instructions(said.url, rootToken));
}
process.exit(await server.exited);

function instructions(url: string, token: string | undefined): string {
  const login = token
    ? `  pogo login ${url} --store file
      … and paste the token of root: ${token}
      It is shown this once. Without --store file, it goes to the system's keyring.`
    : `  pogo whoami ${url}
      … says who you are here. The token of root was shown at the first start.`;
  return `
The server runs at ${url} until you type Ctrl-C.
In a second terminal, type:

  export PATH="${dirname(executable)}:$PATH"
${login}

  mkdir hello && cd hello
  echo hello > README.md
  pogo init --server ${url} --name hello
  pogo push -m "the first change"
  pogo bookmark set main
  pogo log
  pogo clone ${url}/hello ../hello-2
`;
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    const whole = text.split("\n");
    text = whole.pop() ?? "";
    yield* whole;
  }
}
