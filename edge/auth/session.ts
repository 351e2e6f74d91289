import { clockSkewS, tokenLifetimeSMax } from "#edge/api/limits.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";

/** What a token allows in its room. */
export type Scope = "read" | "post" | "signal";
/** All scopes. */
export const scopesAll: readonly Scope[] = ["read", "post", "signal"];
/** `aud` of session tokens. */
export const sessionAudience = "edge";

/** One user in one room, as a valid token says. */
export interface Session {
  readonly tenant: string;
  readonly room: string;
  readonly user: string;
  readonly scopes: readonly Scope[];
  /** Seconds since 1970. */
  readonly expiresS: number;
  readonly tokenId: string;
}

/** Why a token is refused. */
export type TokenFault = "expired" | "not_yet" | "malformed" | "issuer" | "audience" | "lifetime";

/** What the edge knows when it judges a token. */
export interface TokenContext {
  /** Own issuer name. */
  readonly issuer: string;
  /** Seconds since 1970. */
  readonly nowS: number;
}

function text(value: unknown, max = 128): value is string {
  return typeof value === "string" && value.length <= max;
}

function seconds(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/**
 * Judges the claims of a session token whose signature, `alg` and `kid` the injected verifier has
 * checked: `iss`, `aud` = edge, `exp` and `nbf` with 30 s of skew, a lifetime of at most 10 min,
 * `tid`, `rid`, `sub`, scopes. RFC 7519 section 4.1.
 */
export function sessionFromClaims(
  claims: Readonly<Record<string, unknown>>,
  context: TokenContext,
): Result<Session, TokenFault> {
  const { iss, aud, sub, exp, nbf, iat, jti, tid, rid, scopes } = claims;
  if (iss !== context.issuer) return fail("issuer");
  if (aud !== sessionAudience) return fail("audience");
  if (!text(sub) || !text(tid) || !text(rid) || !text(jti)) return fail("malformed");
  if (sub === "" || rid === "" || !seconds(exp) || !seconds(iat)) return fail("malformed");
  if (!Array.isArray(scopes) || !scopes.every(isScope)) return fail("malformed");
  if (exp - iat > tokenLifetimeSMax) return fail("lifetime");
  if (exp + clockSkewS <= context.nowS) return fail("expired");
  const startS = seconds(nbf) ? nbf : iat;
  if (startS - clockSkewS > context.nowS) return fail("not_yet");
  return ok({ tenant: tid, room: rid, user: sub, scopes, expiresS: exp, tokenId: jti });
}

/** True for a scope that this edge knows. */
export function isScope(value: unknown): value is Scope {
  return scopesAll.includes(value as Scope);
}

/** The claims of a session token to be signed. */
export function claimsOfSession(session: Session, issuer: string, nowS: number) {
  return {
    iss: issuer,
    aud: sessionAudience,
    sub: session.user,
    tid: session.tenant,
    rid: session.room,
    scopes: session.scopes,
    iat: nowS,
    nbf: nowS,
    exp: session.expiresS,
    jti: session.tokenId,
  };
}
