// Token, key and origin decisions; signatures are the verifier's business.
import assert from "node:assert/strict";
import { test } from "node:test";
import { apiKeyAllows, apiKeyByHash, apiKeysFrom } from "./api-keys.ts";
import { cookieFrom, loginFrom, loginFromClaims } from "./login.ts";
import { originAllowed } from "./origin.ts";
import { claimsOfSession, sessionFromClaims } from "./session.ts";
import type { Session } from "./session.ts";
import { headerAccepted, signingKeysFrom } from "./signing-keys.ts";

const session: Session = {
  tenant: "",
  room: "lobby",
  user: "ann",
  scopes: ["read", "post"],
  expiresS: 1600,
  tokenId: "j",
};
const claims = claimsOfSession(session, "fleet", 1000);
const context = { issuer: "fleet", nowS: 1000 };

test("auth: claims of a session give that session back", () => {
  const judged = sessionFromClaims(claims, context);
  assert.deepEqual(judged.ok && judged.value, session);
});

test("auth: a token is refused outside its time, with 30 s of skew", () => {
  const at = (nowS: number) => sessionFromClaims(claims, { issuer: "fleet", nowS });
  assert.equal(at(1629).ok, true);
  assert.deepEqual(at(1630), { ok: false, reason: "expired" });
  assert.equal(at(970).ok, true);
  assert.deepEqual(at(969), { ok: false, reason: "not_yet" });
});

test("auth: each wrong claim is refused by its own reason", () => {
  const cases: readonly [object, string][] = [
    [{ iss: "other" }, "issuer"],
    [{ aud: "page" }, "audience"],
    [{ aud: ["edge"] }, "audience"],
    [{ sub: undefined }, "malformed"],
    [{ sub: "" }, "malformed"],
    [{ rid: 7 }, "malformed"],
    [{ tid: null }, "malformed"],
    [{ scopes: ["read", "root"] }, "malformed"],
    [{ scopes: "read" }, "malformed"],
    [{ exp: "1600" }, "malformed"],
    [{ exp: 1601 }, "lifetime"],
    [{ iat: Number.NaN }, "malformed"],
  ];
  for (const [change, reason] of cases) {
    const judged = sessionFromClaims({ ...claims, ...change }, context);
    assert.deepEqual(judged, { ok: false, reason }, JSON.stringify(change));
  }
});

test("auth: a header may name only our algorithm and a known key", () => {
  const key = { kty: "OKP", crv: "Ed25519", kid: "k1", x: "A".repeat(43), d: "B".repeat(43) };
  const keys = signingKeysFrom(JSON.stringify({ keys: [key] }));
  assert.ok(keys.ok);
  assert.equal(headerAccepted({ alg: "EdDSA", kid: "k1" }, keys.value), true);
  assert.equal(headerAccepted({ alg: "none", kid: "k1" }, keys.value), false);
  assert.equal(headerAccepted({ alg: "HS256", kid: "k1" }, keys.value), false);
  assert.equal(headerAccepted({ alg: "EdDSA", kid: "k2" }, keys.value), false);
  assert.equal(headerAccepted({ alg: "EdDSA" }, keys.value), false);
  assert.equal(signingKeysFrom(JSON.stringify({ keys: [key, key] })).ok, false);
  assert.equal(signingKeysFrom('{"keys":[]}').ok, false);
  assert.equal(signingKeysFrom("null").ok, false);
});

test("auth: an API key is found by its hash and allows its scopes only", () => {
  const sha256 = "a".repeat(64);
  const keys = apiKeysFrom(JSON.stringify([{ id: "app", sha256, tenant: "", scopes: ["rooms"] }]));
  assert.ok(keys.ok);
  const key = apiKeyByHash(keys.value, sha256);
  assert.ok(key !== null);
  assert.equal(apiKeyAllows(key, "rooms"), true);
  assert.equal(apiKeyAllows(key, "sessions"), false);
  assert.equal(apiKeyAllows({ ...key, scopes: ["*"] }, "sessions"), true);
  assert.equal(apiKeyByHash(keys.value, "b".repeat(64)), null);
  assert.equal(apiKeysFrom(JSON.stringify([{ id: "app", sha256: "x" }])).ok, false);
});

test("auth: a login cookie is no session token and ends", () => {
  const login = { user: "ann", name: "Ann", tenant: "", rooms: ["lobby"] };
  const cookie = { iss: "fleet", aud: "page", exp: 2000, login };
  assert.deepEqual(loginFromClaims(cookie, "fleet", 1999), login);
  assert.equal(loginFromClaims(cookie, "fleet", 2000), null);
  assert.equal(loginFromClaims({ ...cookie, aud: "edge" }, "fleet", 1), null);
  assert.equal(sessionFromClaims({ ...claims, aud: "page" }, context).ok, false);
  assert.equal(loginFrom({ user: "", tenant: "", rooms: [] }), null);
  assert.equal(cookieFrom("a=1; tigerchat_login=t.t.t", "tigerchat_login"), "t.t.t");
  assert.equal(cookieFrom("xtigerchat_login=1", "tigerchat_login"), null);
});

test("auth: foreign pages are refused, programs and our own page are not", () => {
  assert.equal(originAllowed(undefined, "chat.example", []), true);
  assert.equal(originAllowed("null", "chat.example", ["null"]), false);
  assert.equal(originAllowed("https://chat.example", "chat.example", []), true);
  assert.equal(originAllowed("https://evil.example", "chat.example", []), false);
  assert.equal(originAllowed("https://chat.example.evil", "chat.example", []), false);
  assert.equal(originAllowed("https://app.example", "chat.example", ["https://app.example"]), true);
});
