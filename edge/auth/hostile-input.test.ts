// Goal: whatever a token, a key file or a cookie says, the answer is a decision and never an
// exception, and what is accepted has the form that it promises.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hostileTexts, hostileValues } from "#test/support/hostile.ts";
import { apiKeysFrom } from "./api-keys.ts";
import { cookieFrom, loginFrom, loginFromClaims } from "./login.ts";
import { originAllowed } from "./origin.ts";
import { claimsOfSession, isScope, sessionFromClaims } from "./session.ts";
import { headerAccepted, signingKeysFrom } from "./signing-keys.ts";

const nowS = 1_000;
const session = {
  tenant: "acme",
  room: "lobby",
  user: "ann",
  scopes: ["read", "post"] as const,
  expiresS: nowS + 500,
  tokenId: "j",
};

test("auth: claims of any shape are judged, and a session has user, room and an end", () => {
  const claims = claimsOfSession(session, "fleet", nowS);
  let accepted = 0;
  for (const value of hostileValues(claims, 1, 5_000)) {
    const given = value as Parameters<typeof sessionFromClaims>[0];
    if (typeof value !== "object" || value === null) continue;
    const judged = sessionFromClaims(given, { issuer: "fleet", nowS });
    if (!judged.ok) continue;
    accepted += 1;
    const { user, room, tenant, scopes, expiresS } = judged.value;
    assert.ok(user.length > 0 && room.length > 0 && typeof tenant === "string");
    assert.ok(scopes.every(isScope));
    assert.ok(expiresS > nowS - 31 && expiresS <= nowS + 631, String(expiresS));
  }
  assert.ok(accepted > 0, "some changes change nothing that counts");
});

test("auth: key files, logins, cookies and origins of any text are judged", () => {
  const key = { kty: "OKP", crv: "Ed25519", kid: "k1", x: "A".repeat(43), d: "B".repeat(43) };
  const ring = JSON.stringify({ keys: [key] });
  for (const text of hostileTexts(ring, 2, 2_000)) {
    const keys = signingKeysFrom(text);
    if (keys.ok) assert.ok(keys.value.length > 0);
  }
  const api = { id: "a", sha256: "0".repeat(64), tenant: "", scopes: ["rooms"] };
  for (const text of hostileTexts(JSON.stringify([api]), 3, 2_000)) {
    const keys = apiKeysFrom(text);
    if (keys.ok) for (const one of keys.value) assert.match(one.sha256, /^[0-9a-f]{64}$/);
  }
  const known = signingKeysFrom(ring);
  assert.ok(known.ok);
  const login = { user: "ann", name: "Ann", tenant: "", rooms: ["lobby"] };
  const claims = { iss: "fleet", aud: "page", exp: 2_000, login };
  for (const value of hostileValues(claims, 4, 2_000)) {
    if (typeof value !== "object" || value === null) continue;
    const found = { ...value };
    const read = loginFromClaims(found, "fleet", nowS);
    if (read !== null) assert.ok(read.user.length > 0 && Array.isArray(read.rooms));
    loginFrom("login" in found ? found.login : value);
    headerAccepted(found, known.value);
  }
  for (const text of hostileTexts("a=1; tigerchat_login=abc.def; b=2", 5, 2_000)) {
    const cookie = cookieFrom(text, "tigerchat_login");
    assert.ok(cookie === null || text.includes(cookie));
    assert.equal(originAllowed(text, "chat.example", []) && text === "null", false);
  }
});
