import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { assert } from "#replica/base/assert.ts";
import { bytesConcat, bytesFromHex, hexFrom } from "#replica/base/bytes.ts";

// RFC 8410: the DER that stands before the 32 raw bytes of a key.
const spkiPrefix = bytesFromHex("302a300506032b6570032100");
const pkcs8Prefix = bytesFromHex("302e020100300506032b657004220420");

/** Bytes of an Ed25519 signature. */
export const signatureBytes = 64;

/** The public key of 64 hex digits, or null when they are none. */
export function publicKeyFrom(hex: string): KeyObject | null {
  if (!/^[0-9a-f]{64}$/.test(hex)) return null;
  const der = bytesConcat([spkiPrefix, bytesFromHex(hex)]);
  return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
}

/** 64 hex digits of a public key, or of the public half of a private one. */
export function publicKeyHex(key: KeyObject): string {
  assert(key.asymmetricKeyType === "ed25519", "CRY-01: an Ed25519 key");
  const half = key.type === "private" ? createPublicKey(key) : key;
  return hexFrom(half.export({ format: "der", type: "spki" }).subarray(spkiPrefix.length));
}

/** The private key of a 32-byte seed (RFC 8032 section 5.1.5). */
export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  assert(seed.length === 32, "CRY-01: a seed of 32 bytes");
  const der = bytesConcat([pkcs8Prefix, seed]);
  return createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
}

/** Ed25519 signature of a short message, 64 bytes; about 22 microseconds. */
export function signEd25519(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKey));
}

/** True when the signature is the key's over the message; about 60 microseconds. Never throws. */
export function verifyEd25519(
  publicKey: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return signature.length === signatureBytes && verify(null, message, publicKey, signature);
}
