/** Values of options, checked. */
import { PogoError } from "#core/errors.ts";

/** Reads a whole number from 1. */
export function positiveInteger(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new PogoError(
    "usage",
    `${option} takes a whole number from 1, not ${JSON.stringify(text)}`,
  );
}
