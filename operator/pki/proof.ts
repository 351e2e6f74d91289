import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IdentityAnswer } from "#replica/admin/admin-calls.ts";
import { identityProofText } from "#replica/admin/admin-calls.ts";

/** `count` random bytes as hex: secrets, nonces, formation ids. */
export function randomHex(count: number): string {
  return randomBytes(count).toString("hex");
}

/** SHA-256 of text as 64 hex digits: fingerprints of trust bundles, hashes of API keys. */
export function sha256Hex(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/**
 * True when the answer to POST /v1/identity was made by a holder of the shard's bootstrap secret
 * (64 hex digits) for this very nonce, cluster, shard, replica and key. Constant in time.
 */
export function proofHolds(
  answer: IdentityAnswer,
  asked: {
    readonly bootstrap: string;
    readonly nonce: string;
    readonly cluster: string;
    readonly shard: string;
    readonly replica: number;
  },
): boolean {
  const { nonce, cluster, shard, replica } = asked;
  const text = identityProofText({ nonce, cluster, shard, replica, publicKey: answer.publicKey });
  const key = Buffer.from(asked.bootstrap, "hex");
  const expected = createHmac("sha256", key).update(text, "utf8").digest();
  const given = Buffer.from(answer.proof, "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
