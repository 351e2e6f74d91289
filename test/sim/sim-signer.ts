import { bytesConcat, bytesEqual } from "#replica/base/bytes.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import type { ProofCrypto } from "#replica/proof/note.ts";

/** Stands for Ed25519: 64 bytes that follow from public key and message, for who has no enemy. */
export function simSign(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const digest = sha256Bytes(bytesConcat([publicKey, message]));
  return bytesConcat([digest, digest]);
}

/** What proofs are checked with: real hashes, the signatures of {@link simSign}. */
export const simProofCrypto: ProofCrypto = {
  sha256: sha256Bytes,
  verify: (key, message, signature) => bytesEqual(simSign(key, message), signature),
};
