/** A real nginx, for servers that stand behind one. */
import { join } from "node:path";

/** Starts it with the configuration `nginx.conf` in a directory, and waits until it answers. */
export async function startNginx(directory: string): Promise<AsyncDisposable> {
  const command = ["nginx", "-p", directory, "-e", "stderr", "-c", join(directory, "nginx.conf")];
  const child = Bun.spawn([...command, "-g", "daemon off;"], { stdout: "ignore", stderr: "pipe" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  void (async () => {
    let said = "";
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      // It listens before it starts what answers.
      if (said.includes("start worker process")) resolve();
    }
    reject(new Error(`nginx ended:\n${said}`));
  })();
  await promise;
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}
