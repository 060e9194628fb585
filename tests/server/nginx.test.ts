/** Behind nginx, which speaks TLS to the clients and plain HTTP/2 to the server. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { openRemote } from "#client/remote.ts";
import { AuditServiceService as Audit } from "#gen/pogo/v1/audit.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { openChannel } from "#rpc/channel.ts";
import { selfSign } from "#server/tls/self-signed.ts";
import { freePort } from "../support/free-port.ts";
import { startNginx } from "../support/nginx.ts";
import { engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

// nginx calls from another address of this machine than the tests do.
const proxyAddress = "127.0.0.3";
const parts = new AsyncDisposableStack();
let server: TestServer;
let url: string;
let certificate: string;
beforeAll(async () => {
  if (!Bun.which("nginx")) return;
  server = parts.use(await startTestServer(engines[0]!, { trustedProxies: [proxyAddress] }));
  const { path } = parts.use(temporaryDirectory());
  const { cert, key } = await selfSign("127.0.0.1");
  certificate = cert;
  writeFileSync(join(path, "cert.pem"), cert);
  writeFileSync(join(path, "key.pem"), key, { mode: 0o600 });
  const port = await freePort();
  parts.use(await startNginx(path, configuration(path, port, server.server.port)));
  url = `https://127.0.0.1:${port}`;
});
afterAll(() => parts[Symbol.asyncDispose]());

function configuration(directory: string, port: number, upstream: number): string {
  return `
      server {
        listen 127.0.0.1:${port} ssl http2;
        ssl_certificate ${directory}/cert.pem;
        ssl_certificate_key ${directory}/key.pem;
        client_max_body_size 0;
        location /pogo.v1. {
          grpc_pass grpc://127.0.0.1:${upstream};
          grpc_bind ${proxyAddress};
          grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          grpc_read_timeout 1h;
          grpc_send_timeout 1h;
        }
        location / {
          proxy_pass http://127.0.0.1:${upstream};
        }
      }`;
}

test.skipIf(!Bun.which("nginx"))("calls of every kind get through, and pages", async () => {
  const channel = openChannel({ url, token: testRootToken, trust: { roots: certificate } });
  parts.defer(() => channel.close());
  const remote = openRemote(channel, "proxied");
  await remote.createRepository({ public: false, caseSensitive: false });
  // Streams up and down, in many messages.
  const large = "line\n".repeat(600_000);
  const { change } = await publish(remote, { "d/large": large, small: "one" });
  await remote.setBookmark("main", change!.name);
  const listed = await Array.fromAsync(remote.listChanges({ revisions: [], paths: [], limit: 0 }));
  expect(listed.map(({ name }) => name)).toEqual([change!.name]);
  const trees = await Array.fromAsync(remote.getTrees(change!.tree, undefined));
  expect(trees.length).toBe(2);
  expect(await refusal(remote.getChange("absent"))).toBe("not-found");
  const page = await fetch(`${url}/healthz`, { tls: { ca: certificate } });
  expect([page.status, await page.text()]).toEqual([200, "ok\n"]);
});

test.skipIf(!Bun.which("nginx"))(
  "the server knows who calls, whatever the caller says",
  async () => {
    const stranger = openChannel({
      url,
      token: "pogo_a-token-that-nobody-was-given",
      trust: { roots: certificate },
    });
    parts.defer(() => stranger.close());
    expect(await refusal(stranger.unary(Auth.getUser, {}))).toBe("denied");
    const root = server.channel(testRootToken);
    const pages = root.serverStream(Audit.listAuditEvents, { since: 0, user: "", limit: 1 });
    const events = (await Array.fromAsync(pages)).flatMap((page) => page.events);
    expect(events).toMatchObject([{ address: "127.0.0.1", allowed: false }]);
  },
);
