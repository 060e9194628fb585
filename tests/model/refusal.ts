/** What the server must refuse, too. */
export class Refusal extends Error {
  readonly code: string;
  constructor(code: string, why: string) {
    super(why);
    this.code = code;
  }
}
