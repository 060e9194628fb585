/** Where objects are kept, as an operator says it: `--objects WHERE` and the environment. */
import { resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { isLoopback } from "#core/loopback.ts";

export type DiskLocation = { kind: "disk"; directory: string };

export type S3Location = {
  kind: "s3";
  bucket: string;
  /** What every key begins with; empty, or it ends with a slash. */
  prefix: string;
  /** URL of the service; Amazon's if there is none. */
  endpoint: string | undefined;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | undefined;
  /** The bucket is named in the host and not in the path. */
  isVirtualHosted: boolean;
};

/** One place, or several volumes that share the objects. */
export type StoreLocation = DiskLocation | S3Location | { kind: "volumes"; directories: string[] };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads `DIR`, `DIR,DIR…` or `s3://BUCKET/PREFIX`. */
export function parseLocation(
  text: string,
  environment: Environment,
  { allowInsecure = false }: { allowInsecure?: boolean } = {},
): StoreLocation {
  if (/^s3:\/\//i.test(text)) return parseS3(text, environment, allowInsecure);
  const parts = text.split(",");
  if (parts.some((part) => part === "" || /^[a-z][a-z0-9+.-]+:\/\//i.test(part))) {
    throw new PogoError("usage", `objects cannot be kept in ${text}`, {
      hint: "name directories, --objects DIR or --objects DIR,DIR, or s3://BUCKET/PREFIX",
    });
  }
  const directories = parts.map((part) => resolve(part));
  const [directory = ""] = directories;
  if (directories.length === 1) return { kind: "disk", directory };
  if (new Set(directories).size === directories.length) return { kind: "volumes", directories };
  throw new PogoError("usage", `a volume is named twice in ${text}`);
}

/** What says where a server's objects are. */
export type ObjectsOptions = {
  dataDirectory: string;
  /** A directory, several, or s3://BUCKET/PREFIX; below the data directory unless said. */
  objects?: string | undefined;
  /** Variables that say how to reach a bucket. */
  environment?: Environment;
  allowInsecure?: boolean;
};

/** Says where a server's objects are. */
export function locateObjects(options: ObjectsOptions): StoreLocation {
  const { dataDirectory, objects, environment = {}, allowInsecure = false } = options;
  if (objects !== undefined) return parseLocation(objects, environment, { allowInsecure });
  return { kind: "disk", directory: resolve(dataDirectory, "objects") };
}

/** The directories of this machine that a place consists of. */
export function directoriesOf(location: StoreLocation): string[] {
  if (location.kind === "volumes") return location.directories;
  return location.kind === "disk" ? [location.directory] : [];
}

function parseS3(text: string, environment: Environment, allowInsecure: boolean): S3Location {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/+([^?#]*))?$/i.exec(text);
  const bucket = match?.[1];
  if (bucket === undefined) {
    throw new PogoError("usage", `${text} does not name a bucket`, {
      hint: "write it as s3://BUCKET/PREFIX",
    });
  }
  const path = (match?.[2] ?? "").replace(/\/+$/, "");
  const first = (...names: string[]) => names.map((name) => environment[name]).find(Boolean);
  const endpoint = first("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
  const accessKeyId = first("S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID");
  const secretAccessKey = first("S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY");
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new PogoError("usage", `there are no keys for ${text}`, {
      hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    });
  }
  if (endpoint !== undefined) checkEndpoint(endpoint, allowInsecure);
  return {
    kind: "s3",
    bucket,
    prefix: path === "" ? "" : `${path}/`,
    endpoint: endpoint?.replace(/\/+$/, ""),
    region: first("S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION") ?? "us-east-1",
    accessKeyId,
    secretAccessKey,
    sessionToken: first("S3_SESSION_TOKEN", "AWS_SESSION_TOKEN"),
    isVirtualHosted: isVirtualHosted(first("S3_ADDRESSING_STYLE"), endpoint, bucket),
  };
}

function checkEndpoint(endpoint: string, allowInsecure: boolean): void {
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new PogoError("usage", `the endpoint ${endpoint} of S3 is not an http or https URL`);
  }
  const isNear = isLoopback(url.hostname) || url.hostname.endsWith(".localhost");
  if (url.protocol === "https:" || allowInsecure || isNear) return;
  throw new PogoError("usage", `on the way to ${endpoint} objects could be read by others`, {
    hint: "use https, or add --insecure-http",
  });
}

/** Amazon wants the bucket in the host, most services of one's own want it in the path. */
function isVirtualHosted(
  style: string | undefined,
  endpoint: string | undefined,
  bucket: string,
): boolean {
  if (style === "path" || style === "virtual") return style === "virtual";
  if (style !== undefined && style !== "auto") {
    throw new PogoError("usage", `S3_ADDRESSING_STYLE is ${style}`, {
      hint: "set it to path, virtual or auto",
    });
  }
  // A certificate for *.HOST does not cover a name with dots.
  return endpoint === undefined && !bucket.includes(".");
}
