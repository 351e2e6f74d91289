// Configuration, tokens and files of the edge process.
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SignJWT, UnsecuredJWT } from "jose";
import type { SigningKey } from "#edge/auth/signing-keys.ts";
import { signingKeysFrom } from "#edge/auth/signing-keys.ts";
import type { VerifyOutcome } from "#edge/connection/intents.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { ConfigError, configFrom, readConfig } from "./config.ts";
import { TokenGate } from "./token-gate.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-edge-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const config = {
  cluster: "0".repeat(32),
  fleet: "default",
  listen: { host: "127.0.0.1", port: 8080, metricsPort: 0 },
  files: { routing: "r", cert: "c", key: "k", trust: "t", jwtKeys: "j", apiKeys: "a" },
};

test("edge: a configuration is checked strictly, and defaults are filled in", () => {
  const checked = configFrom(config, "edge.json");
  assert.deepEqual([checked.publicUrl, checked.allowedOrigins], [null, []]);
  const wrong: readonly [object, RegExp][] = [
    [{ ...config, extra: 1 }, /edge\.json is wrong/],
    [{ ...config, listen: { ...config.listen, port: 70_000 } }, /listen\/port/],
    [{ ...config, cluster: "x" }, /cluster/],
    [{ ...config, publicUrl: "https://chat.example/" }, /publicUrl/],
    [{ ...config, limits: { posts: 7 } }, /limits\.posts is malformed/],
    [{ ...config, bus: { kind: "other" } }, /bus/],
  ];
  for (const [value, message] of wrong) {
    assert.throws(
      () => configFrom(value, "edge.json"),
      (error: unknown) => {
        return error instanceof ConfigError && message.test(error.message);
      },
    );
  }
  assert.throws(() => readConfig(join(folder, "absent.json")), /cannot be read/);
  writeFileSync(join(folder, "broken.json"), "{");
  assert.throws(() => readConfig(join(folder, "broken.json")), /is not JSON/);
});

function keyOf(kid: string): SigningKey {
  const { privateKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
    publicKeyEncoding: { format: "pem", type: "spki" },
  });
  const jwk = createPrivateKey(privateKey).export({ format: "jwk" });
  const keys = signingKeysFrom(JSON.stringify({ keys: [{ ...jwk, kid }] }));
  assert.ok(keys.ok && keys.value[0] !== undefined);
  return keys.value[0];
}

const asked = {
  tenant: "",
  room: "lobby",
  user: "ann",
  scopes: ["read" as const],
  lifetimeS: 600,
};

async function verdict(gate: TokenGate, token: string): Promise<string> {
  const outcome = await new Promise<VerifyOutcome>((resolve) => gate.verify(token, resolve));
  return outcome.ok ? outcome.session.user : outcome.refusal.error;
}

test("edge: a minted token is valid here, and no other is", async () => {
  const [key, foreign] = [keyOf("one"), keyOf("one")];
  const gate = await TokenGate.open([key], [], "fleet", null);
  const other = await TokenGate.open([foreign], [], "fleet", null);
  const elsewhere = await TokenGate.open([key], [], "another", null);
  const { token } = await gate.mintSession(asked);
  for (let i = 0; i < 2; i += 1) assert.equal(await verdict(gate, token), "ann");
  assert.equal(await verdict(gate, (await other.mintSession(asked)).token), "TOKEN_INVALID");
  assert.equal(await verdict(gate, (await elsewhere.mintSession(asked)).token), "TOKEN_INVALID");
  const none = new UnsecuredJWT({ sub: "ann", rid: "lobby" }).encode();
  const shared = new SignJWT({ sub: "ann" }).setProtectedHeader({ alg: "HS256", kid: "one" });
  const symmetric = await shared.sign(utf8From("0".repeat(32)));
  for (const bad of [none, symmetric, "", "a.b.c", `${token}x`]) {
    assert.equal(await verdict(gate, bad), "TOKEN_INVALID", bad);
  }
  const ended = await gate.mintSession({ ...asked, lifetimeS: -60 });
  assert.equal(await verdict(gate, ended.token), "TOKEN_EXPIRED");
});

test("edge: after a rotation new keys sign, listed ones verify, others do not", async () => {
  const [old, fresh] = [keyOf("old"), keyOf("fresh")];
  const gate = await TokenGate.open([old], [], "fleet", null);
  const { token } = await gate.mintSession(asked);
  await gate.setSigningKeys([fresh, old]);
  assert.equal(await verdict(gate, token), "ann");
  const newer = (await gate.mintSession(asked)).token;
  await gate.setSigningKeys([fresh]);
  assert.equal(await verdict(gate, token), "TOKEN_INVALID");
  assert.equal(await verdict(gate, newer), "ann");
});

test("edge: an API key is known by its hash; a login's cookie is no session token", async () => {
  const text = "tck_0123456789abcdef";
  const known = { id: "app", sha256: sha256(utf8From(text)), tenant: "", scopes: ["*"] };
  const gate = await TokenGate.open([keyOf("k")], [known], "fleet", null);
  assert.equal(gate.apiKey(`Bearer ${text}`)?.id, "app");
  assert.equal(gate.apiKey(`Bearer ${text}0`), null);
  assert.equal(gate.apiKey(undefined), null);
  const login = { user: "ann", name: "Ann", tenant: "", rooms: ["lobby"] };
  const cookie = await gate.mintLogin(login);
  assert.deepEqual(await gate.login(`tigerchat_login=${cookie}`), login);
  assert.equal(await gate.login(`tigerchat_login=${cookie}x`), null);
  assert.equal(await verdict(gate, cookie), "TOKEN_INVALID");
});

test("edge: of many attempts at the same time one takes a one-time code", async () => {
  const gate = await TokenGate.open([keyOf("k")], [], "fleet", folder);
  const login = { user: "ann", name: "Ann", tenant: "", rooms: ["lobby"] };
  writeFileSync(join(folder, sha256(utf8From("ABCD-EFGH"))), JSON.stringify(login));
  const taken = await Promise.all([1, 2, 3, 4].map(() => gate.takeLogin(" abcd-efgh ")));
  assert.equal(taken.filter((found) => found !== null).length, 1);
  assert.equal(await gate.takeLogin("../edge.json"), null);
});
