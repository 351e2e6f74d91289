import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";

/** The only signature algorithm accepted: no token chooses its own. RFC 8037. */
export const tokenAlgorithm = "EdDSA";

/** One Ed25519 key of the file of token keys, as a JWK with its private part. RFC 8037. */
export interface SigningKey {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly kid: string;
  readonly x: string;
  readonly d: string;
}

const base64url32 = /^[A-Za-z0-9_-]{43}$/;

/**
 * The keys of a JWKS text, 1 to 8. The first signs; all verify, so that a rotation puts the new key
 * first and keeps the old one for the ten minutes that its tokens live.
 */
export function signingKeysFrom(text: string): Result<readonly SigningKey[], "json" | "keys"> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fail("json");
  }
  const keys = (parsed as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length < 1 || keys.length > 8) return fail("keys");
  if (!keys.every(isSigningKey)) return fail("keys");
  const kids = new Set(keys.map((key) => key.kid));
  return kids.size === keys.length ? ok(keys) : fail("keys");
}

function isSigningKey(value: unknown): value is SigningKey {
  if (typeof value !== "object" || value === null) return false;
  const { kty, crv, kid, x, d } = value as Partial<Record<string, unknown>>;
  if (kty !== "OKP" || crv !== "Ed25519" || typeof kid !== "string") return false;
  if (kid.length < 1 || kid.length > 128) return false;
  return (
    typeof x === "string" && typeof d === "string" && base64url32.test(x) && base64url32.test(d)
  );
}

/** True when a token's header names our algorithm and a known key. RFC 8725 section 3.1. */
export function headerAccepted(
  header: { readonly alg?: unknown; readonly kid?: unknown },
  keys: readonly SigningKey[],
): boolean {
  return header.alg === tokenAlgorithm && keys.some((key) => key.kid === header.kid);
}
