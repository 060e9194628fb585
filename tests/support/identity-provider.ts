/** A real provider of identities, and somebody who confirms codes there as in a browser. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import type { SsoOptions } from "#server/sso/options.ts";

export type IdentityProvider = AsyncDisposable & {
  issuer: string;
  /** How a server asks it. */
  options: SsoOptions;
  /** Logs in as somebody and confirms, or refuses, what an address asks. */
  confirm(address: string, who: string, answer?: "yes" | "no"): Promise<void>;
};

/** Who is known, by login; the provider takes any password. */
export type People = Record<string, { name: string; groups: string[] }>;

const clientId = "pogo";

/** Starts it on a free port. */
export async function startIdentityProvider(people: People): Promise<IdentityProvider> {
  // It warns, at every step, of what is only right in tests, as this is.
  const { info, warn } = console;
  console.info = console.warn = () => {};
  const { Provider } = await import("oidc-provider");
  let handle: RequestListener | undefined;
  const server = createServer((request, response) => handle?.(request, response));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: "none",
        // Of these a provider lets a redirection to this machine have any port.
        application_type: "native",
        grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        response_types: ["code"],
        redirect_uris: ["http://127.0.0.1/callback"],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    conformIdTokenClaims: false,
    cookies: { keys: ["of the tests"] },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_context: unknown, login: string) => ({
      accountId: login,
      claims: () => ({
        sub: login,
        preferred_username: people[login]?.name,
        groups: people[login]?.groups,
      }),
    }),
  });
  handle = provider.callback();
  return {
    issuer,
    options: {
      issuer,
      clientId,
      clientSecret: undefined,
      scope: "openid profile",
      userClaim: "preferred_username",
      groupsClaim: "groups",
      groups: { artists: "/artists" },
      tokenDays: 7,
    },
    confirm: (address, who, answer = "yes") => confirm(address, who, answer),
    async [Symbol.asyncDispose]() {
      Object.assign(console, { info, warn });
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Fills in one form after the other, as long as there is one. */
async function confirm(address: string, who: string, answer: "yes" | "no"): Promise<void> {
  const cookies = new Map<string, string>();
  let page = await visit(cookies, address);
  for (let step = 0; step < 10; step++) {
    const form = /<form[^>]*>[\s\S]*?<\/form>/i.exec(page.text)?.[0];
    if (form === undefined) return;
    const fields = new URLSearchParams();
    for (const [input] of form.matchAll(/<input[^>]*>/gi)) {
      const name = attribute(input, "name");
      if (name !== undefined) fields.set(name, attribute(input, "value") ?? "");
    }
    if (fields.has("login")) fields.set("login", who);
    if (fields.has("password")) fields.set("password", "any");
    const isRefused = answer === "no" && fields.has("confirm");
    if (isRefused) {
      fields.delete("confirm");
      fields.set("abort", "yes");
    }
    const action = new URL(attribute(form, "action") ?? page.url, page.url).href;
    page = await visit(cookies, action, fields);
    if (isRefused) return;
  }
  throw new Error(`the provider asks without end:\n${page.text}`);
}

async function visit(cookies: Map<string, string>, address: string, fields?: URLSearchParams) {
  let url = address;
  let body = fields;
  for (let hop = 0; hop < 10; hop++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      redirect: "manual",
      headers: { cookie, accept: "text/html" },
      ...(body && { method: "POST", body }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === "") cookies.delete(name);
      else cookies.set(name, value);
    }
    const text = await response.text();
    const location = response.headers.get("location");
    if (location === null) return { url, text };
    url = new URL(location, url).href;
    body = undefined;
  }
  throw new Error("the provider leads in circles");
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll("&amp;", "&");
}
