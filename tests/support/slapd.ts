/** A throwaway OpenLDAP, with a few people and groups in it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { selfSign } from "#server/tls/self-signed.ts";
import { freePort } from "./free-port.ts";
import { temporaryDirectory } from "./postgres.ts";

export type Slapd = AsyncDisposable & {
  url: string;
  /** The same, encrypted from the beginning. */
  secureUrl: string;
  /** Directory with what a server is told: the certificate and the password of who looks up. */
  path: string;
  /** Applies LDIF that changes something. */
  modify(ldif: string): Promise<void>;
  stop(): Promise<void>;
};

const manager = "cn=manager,dc=example,dc=org";
const managerPassword = "manager's";

const program = Bun.which("slapd") ?? Bun.which("/usr/sbin/slapd");

/** Whether this machine has it. */
export const hasSlapd = program !== null && Bun.which("ldapmodify") !== null;

/** Starts it with the entries of some LDIF, whose passwords are in the clear. */
export async function startSlapd(ldif: string): Promise<Slapd> {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(temporaryDirectory());
  const { cert, key } = await selfSign("127.0.0.1");
  const files = { "cert.pem": cert, "key.pem": key, password: managerPassword, "all.ldif": ldif };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  mkdirSync(join(path, "data"));
  writeFileSync(
    join(path, "slapd.conf"),
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${path}/pid
TLSCertificateFile ${path}/cert.pem
TLSCertificateKeyFile ${path}/key.pem
database mdb
suffix dc=example,dc=org
rootdn ${manager}
rootpw ${managerPassword}
directory ${path}/data
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`,
  );
  const configuration = ["-f", join(path, "slapd.conf")];
  await run(["/usr/sbin/slapadd", ...configuration, "-l", join(path, "all.ldif")]);
  const port = await freePort();
  const url = `ldap://127.0.0.1:${port}`;
  const secureUrl = `ldaps://127.0.0.1:${await freePort()}`;
  // With a level of debugging it stays in the foreground, and says when it is ready.
  const command = [program!, ...configuration, "-h", `${url} ${secureUrl}`, "-d", "256"];
  const child = Bun.spawn(command, { stdout: "ignore", stderr: "pipe" });
  const stop = async () => {
    child.kill("SIGTERM");
    await child.exited;
  };
  opening.defer(stop);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  void (async () => {
    let said = "";
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said.includes("slapd starting")) resolve();
    }
    reject(new Error(`slapd ended:\n${said}`));
  })();
  await promise;
  const parts = opening.move();
  return {
    url,
    secureUrl,
    path,
    stop,
    modify: (changes) =>
      run(["ldapmodify", "-x", "-H", url, "-D", manager, "-w", managerPassword], changes),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function run(command: string[], input = ""): Promise<void> {
  const child = Bun.spawn(command, { stdin: new Blob([input]), stdout: "ignore", stderr: "pipe" });
  const [code, text] = await Promise.all([child.exited, child.stderr.text()]);
  if (code !== 0) throw new Error(`${command[0]} failed (${code}): ${text.trim()}`);
}
