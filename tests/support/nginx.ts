/** A real nginx, for servers that stand behind one. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Starts it in a directory, with what `http` is to have, and waits until it answers. */
export async function startNginx(directory: string, http: string): Promise<AsyncDisposable> {
  for (const scratch of ["body", "proxy", "other"]) mkdirSync(join(directory, scratch));
  writeFileSync(join(directory, "nginx.conf"), configuration(directory, http));
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

function configuration(directory: string, http: string): string {
  return `
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1;
    pid ${directory}/pid;
    error_log stderr notice;
    events { worker_connections 256; }
    http {
      access_log off;
      client_body_temp_path ${directory}/body;
      proxy_temp_path ${directory}/proxy;
      fastcgi_temp_path ${directory}/other;
      uwsgi_temp_path ${directory}/other;
      scgi_temp_path ${directory}/other;
      ${http}
    }`;
}
