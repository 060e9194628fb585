/** Logging in by a browser that comes back with a code: a real provider, and its real pages. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ssoAnswerBytesMax } from "#core/limits.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { GroupServiceService as Groups } from "#gen/pogo/v1/group.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { connect } from "#server/db/connect.ts";
import { startIdentityProvider, type IdentityProvider } from "../support/identity-provider.ts";
import { openPogo, type Pogo } from "../support/pogo.ts";
import { engines, startMs } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

const people = {
  "subject-1": { name: "ann", groups: ["/artists"] },
  "subject-2": { name: "bob", groups: [] },
};

let provider: IdentityProvider;
let client: Bun.Server<undefined>;
let answer = "";
beforeAll(async () => {
  provider = await startIdentityProvider(people);
  client = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }) {
      answer = new URL(url).search;
      return new Response("thanks");
    },
  });
});
afterAll(async () => {
  await client?.stop(true);
  await provider?.[Symbol.asyncDispose]();
});

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer(engine, { sso: provider.options });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const start = () => server.channel().unary(Users.startBrowserSso, { port: client.port! });
  let tokens = 0;
  const finish = (handle: string, came: string) => {
    const request = { handle, answer: came, tokenName: `token ${++tokens}` };
    return server.channel().unary(Users.finishBrowserSso, request);
  };

  /** Begins a login, and has somebody log in at the provider. */
  async function logIn(who: keyof typeof people = "subject-1") {
    const started = await start();
    await provider.confirm(started.address, who);
    return { ...started, came: answer };
  }

  test("who logged in there gets a token, once, and is in the groups", async () => {
    const { handle, came } = await logIn();
    const { user, secret, token } = await finish(handle, came);
    expect(user).toBe("ann");
    expect(token!.expiresAt).toBeGreaterThan(Date.now());
    expect(await server.channel(secret).unary(Auth.getUser, {})).toMatchObject({ name: "ann" });
    expect(await refusal(finish(handle, came))).toBe("denied");
    const root = server.channel(testRootToken);
    const { groups } = await root.unary(Groups.listGroups, { after: "" });
    expect(groups).toMatchObject([{ name: "artists", members: ["ann"] }]);
  });

  test("what the browser is sent with binds the code to this login, and says no secret", async () => {
    const { address, state, handle } = await start();
    const { origin, searchParams } = new URL(address);
    expect(origin).toBe(provider.issuer);
    expect(Object.fromEntries(searchParams)).toEqual({
      client_id: provider.options.clientId,
      response_type: "code",
      redirect_uri: `http://127.0.0.1:${client.port}/callback`,
      scope: "openid profile",
      state,
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "S256",
    });
    expect(address).not.toContain(handle);
    const again = await start();
    expect(again.state).not.toBe(state);
  });

  test("a code of another login, or a second time, is denied under whatever state", async () => {
    const { came: spent, handle: first } = await logIn();
    await finish(first, spent);
    const { came: unspent } = await logIn("subject-2");
    for (const other of [spent, unspent]) {
      const as = (state: string) => {
        const query = new URLSearchParams(other);
        query.set("state", state);
        return `?${query}`;
      };
      const [plain, stolen] = [await start(), await start()];
      expect(await refusal(finish(plain.handle, other))).toBe("denied");
      expect(await refusal(finish(stolen.handle, as(stolen.state)))).toBe("denied");
    }
  });

  test("an answer that is wrong, empty, cut or refuses is denied, and ends the login", async () => {
    const { issuer: iss } = provider;
    const wrong: ((came: URLSearchParams) => void)[] = [
      (came) => came.set("state", "another"),
      (came) => came.delete("state"),
      (came) => came.delete("code"),
      (came) => came.set("code", "another"),
      (came) => came.set("iss", "http://127.0.0.1:1"),
      (came) => came.append("code", "another"),
      (came) => [...came.keys()].forEach((key) => came.delete(key)),
    ];
    for (const change of wrong) {
      const { handle, came } = await logIn();
      const query = new URLSearchParams(came);
      change(query);
      expect(await refusal(finish(handle, `?${query}`))).toBe("denied");
      expect(await refusal(finish(handle, came))).toBe("denied");
    }
    const { handle, state } = await start();
    const refused = new URLSearchParams({ error: "access_denied", state, iss });
    const error = await finish(handle, `?${refused}`).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "denied", message: "the provider says access_denied" });
    const forged = await start();
    const escape = new URLSearchParams({ error: "\x1b[2J", state: forged.state, iss });
    const told = await finish(forged.handle, `?${escape}`).catch((caught: unknown) => caught);
    expect(told).toMatchObject({ code: "denied", message: "the provider says no" });
  });

  test("a handle is good for the kind of login that it began, and for no other", async () => {
    const { handle, came } = await logIn();
    const tokenName = "other";
    const byCode = server.channel().unary(Users.finishSso, { handle, tokenName });
    expect(await refusal(byCode)).toBe("denied");
    const device = await server.channel().unary(Users.startSso, {});
    expect(await refusal(finish(device.handle, came))).toBe("denied");
    expect(await refusal(finish("", came))).toBe("denied");
    expect(await refusal(finish(handle, "x".repeat(ssoAnswerBytesMax + 1)))).toBe("usage");
    expect((await finish(handle, came)).user).toBe("ann");
    for (const port of [0, 65_536, 2 ** 32 - 1]) {
      const begun = server.channel().unary(Users.startBrowserSso, { port });
      expect(await refusal(begun)).toBe("usage");
    }
  });

  test.skipIf(engine !== "postgres")(
    "a login that expired is denied, or whose nonce, verifier, state is not what it was",
    async () => {
      const sql = connect(server.databaseUrl!);
      await using _ = { [Symbol.asyncDispose]: () => sql.end() };
      const changes = [
        sql`expires_at = now()`,
        sql`nonce = 'another'`,
        sql`verifier = ${"another".repeat(8)}`,
        sql`state = 'another'`,
        sql`redirect_uri = 'http://127.0.0.1:1/callback'`,
      ];
      for (const change of changes) {
        const { handle, came } = await logIn();
        await sql`update sso_logins set ${change}`;
        expect(await refusal(finish(handle, came))).toBe("denied");
      }
    },
  );

  if (engine !== engines[0]) return;

  /** Starts a login in a terminal, and reads where the browser is to go. */
  async function startTerminal(pogo: Pogo, environment: Record<string, string> = {}) {
    const line = ["login", server.server.url, "--sso", "--browser", "--store", "file"];
    const child = pogo.start(line, { environment });
    let said = "";
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      const address = /log in at (\S+), in a browser/.exec(said)?.[1];
      if (address === undefined) continue;
      const url = new URL(address);
      return { child, address, callback: url.searchParams.get("redirect_uri")! };
    }
    throw new Error(`it ended, and said ${said}`);
  }

  test("pogo login --sso --browser opens the page, and waits for its own answer", async () => {
    using pogo = openPogo();
    const bin = join(pogo.home, "bin");
    mkdirSync(bin);
    const opened = join(pogo.home, "opened");
    await Bun.$`mkfifo ${opened}`;
    for (const opener of ["xdg-open", "open"]) {
      writeFileSync(join(bin, opener), `#!/bin/sh\necho "$@" > "${opened}"\n`);
      chmodSync(join(bin, opener), 0o755);
    }
    const PATH = `${bin}:${process.env["PATH"] ?? ""}`;
    const { child, address, callback } = await startTerminal(pogo, { PATH, DISPLAY: ":0" });
    await using _ = child;
    expect(await Bun.file(opened).text()).toBe(`${address}\n`);
    // Whoever else has the browser, or the user's machine, ask: it goes on waiting.
    const { status: forged } = await fetch(`${callback}?code=x&state=forged`);
    const { status: stateless } = await fetch(callback);
    const { status: elsewhere } = await fetch(new URL("/", callback));
    const { status: posted } = await fetch(callback, { method: "POST" });
    const { status: rebound } = await fetch(callback, { headers: { host: "evil.example" } });
    const statuses = [forged, stateless, elsewhere, posted, rebound];
    expect(statuses).toEqual([400, 400, 404, 404, 404]);
    await provider.confirm(address, "subject-2");
    expect(await child.exited).toBe(0);
    expect(await pogo.json(["whoami"])).toMatchObject({ user: "bob" });
    expect(
      await fetch(callback).then(
        () => "open",
        () => "closed",
      ),
    ).toBe("closed");
  });

  test("two who log in at once get each their own", async () => {
    using one = openPogo();
    using two = openPogo();
    const [first, second] = [await startTerminal(one), await startTerminal(two)];
    const started = await logIn();
    const mixed = await fetch(`${first.callback}${started.came}`);
    expect(mixed.status).toBe(400);
    await Promise.all([
      provider.confirm(first.address, "subject-1"),
      provider.confirm(second.address, "subject-2"),
    ]);
    expect(await Promise.all([first.child.exited, second.child.exited])).toEqual([0, 0]);
    expect(await one.json(["whoami"])).toMatchObject({ user: "ann" });
    expect(await two.json(["whoami"])).toMatchObject({ user: "bob" });
  });

  test("what the provider refuses is said, and --browser alone makes no sense", async () => {
    using pogo = openPogo();
    const { child, address, callback } = await startTerminal(pogo);
    const state = new URL(address).searchParams.get("state")!;
    const query = new URLSearchParams({ error: "access_denied", state, iss: provider.issuer });
    expect(await (await fetch(`${callback}?${query}`)).text()).toContain("go back to the terminal");
    expect(await child.exited).toBe(6);
    const alone = await pogo.run(["login", server.server.url, "--browser"]);
    expect(alone).toMatchObject({ exitCode: 2 });
  });
});
