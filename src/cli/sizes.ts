import { PogoError } from "#core/errors.ts";

/** Reads a number of bytes: 500M, 4G, 1.5T. */
export function readSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kMGT]?)B?$/i.exec(text);
  const power = ["", "k", "m", "g", "t"].indexOf(match?.[2]?.toLowerCase() ?? "");
  if (match) return Math.round(Number(match[1]) * 1024 ** power);
  throw new PogoError("usage", `${JSON.stringify(text)} is not a size`, {
    hint: "write it as 500M or 4G",
  });
}
