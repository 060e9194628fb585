/** Users of an organisation's directory, with a real OpenLDAP. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { isPogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { GroupServiceService as Groups } from "#gen/pogo/v1/group.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import type { Channel } from "#rpc/channel.ts";
import { connect, type Sql } from "#server/db/connect.ts";
import { openDirectory } from "#server/directory/directory.ts";
import { readDirectoryOptions, type DirectoryOptions } from "#server/directory/options.ts";
import { checkPeople } from "#server/directory/watch.ts";
import { postgresPrograms } from "../../scripts/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { startMs, temporaryDirectory } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";
import { hasSlapd, startSlapd, type Slapd } from "../support/slapd.ts";

setDefaultTimeout(startMs);

const person = (uid: string) => `
dn: uid=${uid},ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ${uid}
cn: ${uid}
sn: ${uid}
userPassword:: ${Buffer.from(`${uid}'s password ü`).toString("base64")}
`;

const people = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people
${person("ann")}${person("bob")}${person("root")}
dn: cn=developers,dc=example,dc=org
objectClass: groupOfNames
cn: developers
member: uid=ann,ou=people,dc=example,dc=org
`;

test("a file that would send passwords in the clear, or says too little, is refused", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "ldap.json");
  const read = (value: unknown) => {
    writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
    return () => readDirectoryOptions(path);
  };
  const base = "dc=example,dc=org";
  expect(read({ url: "ldap://ldap.example", base })).toThrow("in the clear");
  expect(read({ url: "https://ldap.example", base })).toThrow("is not one of LDAP");
  expect(read({ url: "ldaps://ldap.example" })).toThrow('"base" is not given');
  expect(read("[")).toThrow("not a JSON object");
  expect(read({ url: "ldaps://h", base, checkSeconds: 0 })).toThrow("checkSeconds");
  expect(read({ url: "ldaps://h", base, ca: "nothing.pem" })).toThrow("cannot be read");
  expect(read({ url: "ldap://ldap.example", startTls: true, base })()).toMatchObject({
    filter: "(objectClass=person)",
    userAttribute: "uid",
  });
});

describe.skipIf(!hasSlapd || !postgresPrograms())("OpenLDAP", () => {
  let slapd: Slapd;
  let options: DirectoryOptions;
  let server: TestServer;
  let sql: Sql;
  beforeAll(async () => {
    slapd = await startSlapd(people);
    const path = join(slapd.path, "ldap.json");
    const given = {
      url: slapd.url,
      startTls: true,
      ca: "cert.pem",
      bindDn: "cn=manager,dc=example,dc=org",
      bindPasswordFile: "password",
      base: "ou=people,dc=example,dc=org",
      groups: { devs: "cn=developers,dc=example,dc=org" },
    };
    writeFileSync(path, JSON.stringify(given));
    options = readDirectoryOptions(path);
    server = await startTestServer("postgres", { directory: options });
    sql = connect(server.databaseUrl!);
  });
  afterAll(async () => {
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
    await slapd?.[Symbol.asyncDispose]();
  });

  let tokens = 0;
  const logIn = (user: string, password: string) => {
    const request = { user, password, tokenName: `token ${++tokens}` };
    return server.channel().unary(Users.logIn, request);
  };
  const groups = async () => {
    const root = server.channel(testRootToken);
    const listed = (await root.unary(Groups.listGroups, { after: "" })).groups;
    return listed.map(({ name, members }) => `${name}: ${members.join(" ")}`);
  };
  const whoami = (channel: Channel) => refusal(channel.unary(Auth.getUser, {}));

  test("who knows the password gets a token, by the name that the directory has", async () => {
    const { user, secret, token } = await logIn("ANN", "ann's password ü");
    expect(user).toBe("ann");
    expect(token!.expiresAt).toBeGreaterThan(Date.now());
    expect(await server.channel(secret).unary(Auth.getUser, {})).toMatchObject({ name: "ann" });
    await logIn("bob", "bob's password ü");
    expect(await groups()).toEqual(["devs: ann"]);
  });

  test("pogo login takes the password, and keeps the token", async () => {
    using pogo = openPogo();
    const { url } = server.server;
    const login = ["login", url, "--user", "bob", "--store", "file", "--token-stdin"];
    expect(await pogo.ok(login, { stdin: "bob's password ü\n" })).toBe(
      `logged in to ${url} as bob; the token is in ${pogo.home}/.config/pogo/tokens.json, not encrypted\n`,
    );
    expect(await pogo.json(["whoami"])).toMatchObject({ user: "bob" });
    const wrong = await pogo.run(login, { stdin: "bob's password" });
    expect(wrong.stderr).toContain("the directory knows no bob with this password");
    expect(wrong.exitCode).toBe(6);
  });

  test("a wrong password, none, and names that are filters are denied", async () => {
    for (const [user, password] of [
      ["ann", "bob's password ü"],
      ["ann", ""],
      ["carl", "carl's password ü"],
      ["ann", "x".repeat(2000)],
    ] as const) {
      expect(await refusal(logIn(user, password))).toBe("denied");
    }
    for (const user of ["*", "ann)(uid=*", "a*", "", "ann\0", "uid=ann,ou=people"]) {
      expect(await refusal(logIn(user, "ann's password ü"))).toBe("usage");
    }
  });

  test("a user of this server's own is not the directory's", async () => {
    expect(await refusal(logIn("root", "root's password ü"))).toBe("denied");
  });

  test("who is gone there is out here, and in again when back; groups follow", async () => {
    const ann = server.channel((await logIn("ann", "ann's password ü")).secret);
    const bob = server.channel((await logIn("bob", "bob's password ü")).secret);
    const directory = openDirectory(options);
    await checkPeople({ sql, directory });
    expect([await whoami(ann), await whoami(bob)]).toEqual(["nothing", "nothing"]);
    await slapd.modify("dn: uid=bob,ou=people,dc=example,dc=org\nchangetype: delete\n");
    await slapd.modify(
      "dn: cn=developers,dc=example,dc=org\nchangetype: modify\nreplace: member\n" +
        "member: uid=bob,ou=people,dc=example,dc=org\n",
    );
    await checkPeople({ sql, directory });
    expect([await whoami(ann), await whoami(bob)]).toEqual(["nothing", "denied"]);
    expect(await groups()).toEqual(["devs: "]);
    await slapd.modify(person("bob").trim().replace("\n", "\nchangetype: add\n"));
    await checkPeople({ sql, directory });
    expect(await whoami(bob)).toBe("nothing");
    expect(await groups()).toEqual(["devs: bob"]);
  });

  test("a directory that cannot be believed, or does not answer, locks nobody out", async () => {
    const outcome = async (changed: Partial<DirectoryOptions>) => {
      const directory = openDirectory({ ...options, ...changed });
      try {
        await directory.verify("ann", "ann's password ü");
        return "nothing";
      } catch (error) {
        return isPogoError(error) ? error.code : String(error);
      }
    };
    expect(await outcome({})).toBe("nothing");
    const secure = { url: slapd.secureUrl, startTls: false };
    expect(await outcome(secure)).toBe("nothing");
    expect(await outcome({ ...secure, roots: undefined })).toBe("unavailable");
    expect(await outcome({ roots: undefined })).toBe("unavailable");
    expect(await outcome({ bindPassword: "wrong" })).toBe("unavailable");
    const ann = server.channel((await logIn("ann", "ann's password ü")).secret);
    await slapd.stop();
    expect(await refusal(logIn("ann", "ann's password ü"))).toBe("unavailable");
    expect(await refusal(checkPeople({ sql, directory: openDirectory(options) }))).toBe(
      "unavailable",
    );
    expect(await whoami(ann)).toBe("nothing");
  });
});
