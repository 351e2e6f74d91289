import { readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { compactVerify, decodeProtectedHeader, importJWK, SignJWT } from "jose";
import type { CryptoKey } from "jose";
import type { Gate, Minted } from "#edge/bus/gate.ts";
import { apiKeyByHash } from "#edge/auth/api-keys.ts";
import type { ApiKey } from "#edge/auth/api-keys.ts";
import {
  cookieFrom,
  loginAudience,
  loginCookie,
  loginFrom,
  loginFromClaims,
  loginLifetimeS,
} from "#edge/auth/login.ts";
import type { Login } from "#edge/auth/login.ts";
import { claimsOfSession, sessionFromClaims } from "#edge/auth/session.ts";
import type { Scope, TokenFault } from "#edge/auth/session.ts";
import { headerAccepted, tokenAlgorithm } from "#edge/auth/signing-keys.ts";
import type { SigningKey } from "#edge/auth/signing-keys.ts";
import type { VerifyOutcome } from "#edge/connection/intents.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import { random, sha256 } from "#replica/crypto/hash.ts";

type Claims = Readonly<Record<string, unknown>>;

/** Tokens whose signature was checked, remembered at most. */
const cacheMax = 20_000;

type SignatureFault = "malformed" | "algorithm" | "key" | "signature";

const tokenForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const mint = "mint one with POST /v1/rooms/{room}/sessions";

/** What is wrong with a token and what to do, for its sender. Expired ones have their own row. */
const sentences: Readonly<Record<SignatureFault | Exclude<TokenFault, "expired">, string>> = {
  malformed: `This is no session token: ${mint} and send its \`token\` as it is.`,
  algorithm: `The token is not signed with ${tokenAlgorithm}: ${mint}.`,
  key: `The token is signed with a key that is not of this fleet, or not any more: ${mint}.`,
  signature: `The token's signature is wrong, so it was changed or forged: ${mint}.`,
  issuer: `The token is of another fleet: ${mint} of this one.`,
  audience: `The token is not a session token: ${mint}.`,
  lifetime: `The token's life is longer than a session's may be: ${mint}.`,
  not_yet: "The token is not valid yet: set the clock of the server that minted it.",
};

interface KeyRing {
  readonly keys: readonly SigningKey[];
  readonly publicKeys: ReadonlyMap<string, CryptoKey | Uint8Array>;
  readonly signing: CryptoKey | Uint8Array;
  readonly signingKid: string;
}

async function ringOf(keys: readonly SigningKey[]): Promise<KeyRing> {
  const publicKeys = new Map<string, CryptoKey | Uint8Array>();
  for (const { kty, crv, kid, x } of keys) {
    publicKeys.set(kid, await importJWK({ kty, crv, x }, tokenAlgorithm));
  }
  const [first] = keys;
  if (first === undefined) throw new Error("a key ring has a key");
  const { kty, crv, x, d, kid } = first;
  const signing = await importJWK({ kty, crv, x, d }, tokenAlgorithm);
  return { keys, publicKeys, signing, signingKid: kid };
}

/** Signs and verifies with jose; what a valid signature then means is decided by edge/auth. */
export class TokenGate implements Gate {
  private ring: KeyRing;
  private keys: readonly ApiKey[];
  private readonly issuer: string;
  private readonly logins: string | null;
  /** Claims by the token's SHA-256, oldest first: a storm of attaches verifies each token once. */
  private readonly cache = new Map<string, Claims>();

  private constructor(
    ring: KeyRing,
    keys: readonly ApiKey[],
    issuer: string,
    logins: string | null,
  ) {
    this.ring = ring;
    this.keys = keys;
    this.issuer = issuer;
    this.logins = logins;
  }

  /** `logins`: folder of one-time codes, or null. */
  static async open(
    keys: readonly SigningKey[],
    apiKeys: readonly ApiKey[],
    issuer: string,
    logins: string | null,
  ): Promise<TokenGate> {
    return new TokenGate(await ringOf(keys), apiKeys, issuer, logins);
  }

  /** Takes a rotated file of token keys; tokens of keys that are gone are no longer valid. */
  async setSigningKeys(keys: readonly SigningKey[]): Promise<void> {
    this.ring = await ringOf(keys);
    this.cache.clear();
  }

  /** Takes a changed file of API keys. */
  setApiKeys(keys: readonly ApiKey[]): void {
    this.keys = keys;
  }

  verify(token: string, done: (outcome: VerifyOutcome) => void): void {
    const digest = sha256(utf8From(token));
    const known = this.cache.get(digest);
    if (known !== undefined) {
      done(this.judge(known));
      return;
    }
    this.claimsOf(token).then(
      (claims) => {
        if (typeof claims === "object") this.remember(digest, claims);
        done(typeof claims === "object" ? this.judge(claims) : invalid(sentences[claims]));
      },
      () => done(invalid(sentences.malformed)),
    );
  }

  apiKey(authorization: string | undefined): ApiKey | null {
    const key = /^Bearer ([^ ]{8,256})$/.exec(authorization ?? "")?.[1];
    return key === undefined ? null : apiKeyByHash(this.keys, sha256(utf8From(key)));
  }

  async mintSession(session: {
    readonly tenant: string;
    readonly room: string;
    readonly user: string;
    readonly scopes: readonly Scope[];
    readonly lifetimeS: number;
  }): Promise<Minted> {
    const nowS = Math.floor(Date.now() / 1000);
    const { lifetimeS, ...rest } = session;
    const expiresS = nowS + lifetimeS;
    const tokenId = hexFrom(random(16));
    const claims = claimsOfSession({ ...rest, expiresS, tokenId }, this.issuer, nowS);
    return { token: await this.sign(claims), expiresS };
  }

  async takeLogin(code: string): Promise<Login | null> {
    if (this.logins === null) return null;
    const file = join(this.logins, sha256(utf8From(code.trim().toUpperCase())));
    try {
      const login = loginFrom(JSON.parse(await readFile(file, "utf8")));
      // Whoever unlinks it has used it: no other edge can.
      await unlink(file);
      return login;
    } catch {
      return null;
    }
  }

  async mintLogin(login: Login): Promise<string> {
    const nowS = Math.floor(Date.now() / 1000);
    const exp = nowS + loginLifetimeS;
    return await this.sign({ iss: this.issuer, aud: loginAudience, iat: nowS, exp, login });
  }

  async login(cookie: string | undefined): Promise<Login | null> {
    const value = cookieFrom(cookie, loginCookie);
    if (value === null) return null;
    const claims = await this.claimsOf(value).catch(() => null);
    if (claims === null || typeof claims === "string") return null;
    return loginFromClaims(claims, this.issuer, Date.now() / 1000);
  }

  private async sign(claims: Claims): Promise<string> {
    const { signing, signingKid } = this.ring;
    const header = { alg: tokenAlgorithm, kid: signingKid, typ: "JWT" };
    return await new SignJWT({ ...claims }).setProtectedHeader(header).sign(signing);
  }

  /** The claims of a token with a valid signature of a known key, else what is wrong with it. */
  private async claimsOf(token: string): Promise<Claims | SignatureFault> {
    if (!tokenForm.test(token)) return "malformed";
    const header = decodeProtectedHeader(token);
    if (header.alg !== tokenAlgorithm) return "algorithm";
    if (!headerAccepted(header, this.ring.keys)) return "key";
    const key = this.ring.publicKeys.get(header.kid ?? "");
    if (key === undefined) return "key";
    const verified = await compactVerify(token, key, { algorithms: [tokenAlgorithm] }).catch(
      () => null,
    );
    if (verified === null) return "signature";
    const claims: unknown = JSON.parse(textFromUtf8(verified.payload) ?? "null");
    const isObject = typeof claims === "object" && claims !== null && !Array.isArray(claims);
    return isObject ? (claims as Claims) : "malformed";
  }

  private judge(claims: Claims): VerifyOutcome {
    const judged = sessionFromClaims(claims, { issuer: this.issuer, nowS: Date.now() / 1000 });
    if (judged.ok) return { ok: true, session: judged.value };
    if (judged.reason === "expired") return { ok: false, refusal: { error: "TOKEN_EXPIRED" } };
    return invalid(sentences[judged.reason]);
  }

  private remember(digest: string, claims: Claims): void {
    this.cache.set(digest, claims);
    if (this.cache.size <= cacheMax) return;
    const [oldest] = this.cache.keys();
    if (oldest !== undefined) this.cache.delete(oldest);
  }
}

function invalid(detail: string): VerifyOutcome {
  return { ok: false, refusal: { error: "TOKEN_INVALID", detail } };
}
