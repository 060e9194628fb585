import { version as packageVersion } from "../../package.json";

/** Version of this program; the bundler writes it into the executable. */
export const version: string = packageVersion;
