import { hash } from "node:crypto";
import { hashes, verify } from "@noble/ed25519";
import { hexFrom } from "#replica/base/bytes.ts";
import { publicKeyFrom, verifyEd25519 } from "./ed25519.ts";
import { sha256Bytes } from "./hash.ts";

hashes.sha512 = (message) => new Uint8Array(hash("sha512", message, "buffer"));

/**
 * What replica/proof needs to check receipts: SHA-256, and Ed25519 by @noble/ed25519, which is not
 * the implementation that signed. About 2 ms a signature. `verify` never throws.
 */
export const proofCrypto = {
  sha256: sha256Bytes,
  verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (key.length !== 32 || signature.length !== 64) return false;
    try {
      // RFC 8032 as it stands, not ZIP 215: what OpenSSL refuses is refused here.
      return verify(signature, message, key, { zip215: false });
    } catch {
      return false;
    }
  },
} as const;

/** The same by OpenSSL, for a replica that checks its peers' cosignatures: 0.1 ms a signature. */
export const nativeProofCrypto = {
  sha256: sha256Bytes,
  verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const publicKey = publicKeyFrom(hexFrom(key));
    return publicKey !== null && verifyEd25519(publicKey, message, signature);
  },
} as const;
