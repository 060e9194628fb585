import { argon2id } from "hash-wasm";

/**
 * Turns a passphrase into a key of 32 bytes with Argon2id. The parameters are RFC 9106's second
 * recommendation, 64 MiB and three passes: a third of a second here, once at the start of a server.
 */
export async function passphraseKey(passphrase: string, salt: Uint8Array): Promise<Uint8Array> {
  return await argon2id({
    password: passphrase.normalize("NFC"),
    salt,
    parallelism: 4,
    memorySize: 64 * 1024,
    iterations: 3,
    hashLength: 32,
    outputType: "binary",
  });
}
