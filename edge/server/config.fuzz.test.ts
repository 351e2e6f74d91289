// Goal: any configuration is one that the edge can use, or a sentence that says what is wrong.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { hostileTexts, hostileValues } from "#test/support/hostile.ts";
import { edgeLimitsDefault } from "#edge/limit/edge-limits.ts";
import { ConfigError, configFrom, readConfig } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-config-"));
after(() => rmSync(folder, { recursive: true }));

const valid = {
  cluster: "0".repeat(32),
  fleet: "default",
  listen: { host: "127.0.0.1", port: 8080, metricsPort: 0 },
  files: { routing: "r", cert: "c", key: "k", trust: "t", jwtKeys: "j", apiKeys: "a" },
  publicUrl: "https://chat.example",
  allowedOrigins: ["https://chat.example", "http://127.0.0.1:8080"],
  trustProxy: ["10.0.0.0/8", "::1"],
  limits: { posts: { perS: 5, burst: 20 }, roomsMax: 7 },
  drain: { windowMs: 300 },
  log: { level: "info" },
};

/** What is wrong with a value, as a sentence; null = nothing. */
function faultOf(value: unknown): string | null {
  try {
    const config = configFrom(value, "edge.json");
    assert.deepEqual(Object.keys(config.limits), Object.keys(edgeLimitsDefault));
    assert.ok(config.drainWindowMs >= 0 && config.listen.port <= 65_535);
    return null;
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, /^[A-Z][^\n]{10,900}\.$/);
    return error.message;
  }
}

test("edge: config: fuzz: any value is a configuration or a sentence", () => {
  assert.equal(faultOf(valid), null);
  let right = 0;
  for (const value of hostileValues(valid, 7, 2_000)) if (faultOf(value) === null) right += 1;
  assert.ok(right > 0);
  const json = fc.oneof(fc.anything(), fc.jsonValue());
  fc.assert(
    fc.property(json, fc.constantFrom(...Object.keys(valid)), (value, name) => {
      faultOf(value);
      faultOf({ ...valid, [name]: value });
    }),
    { numRuns: 500, interruptAfterTimeLimit: 900 },
  );
});

test("edge: config: fuzz: any file is a configuration or a sentence", () => {
  const file = join(folder, "edge.json");
  for (const text of hostileTexts(JSON.stringify(valid), 8, 300)) {
    writeFileSync(file, text);
    try {
      readConfig(file);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
    }
  }
  assert.throws(() => readConfig(folder), ConfigError);
  assert.throws(() => readConfig(join(folder, "none")), ConfigError);
});

test("edge: config: what would stop the server later is refused with a sentence now", () => {
  const wrong = [
    { publicUrl: "https://a b" },
    { publicUrl: "https://a;script-src *" },
    { publicUrl: "https://user@a" },
    { allowedOrigins: ["https://a?x"] },
    { trustProxy: ["1.2.3"] },
    { trustProxy: ["10.0.0.0/33"] },
    { trustProxy: [":::"] },
    { limits: { toString: { perS: 1, burst: 1 } } },
    { limits: JSON.parse('{"__proto__": {"perS": 1, "burst": 1}}') },
  ];
  for (const members of wrong) {
    assert.notEqual(faultOf({ ...valid, ...members }), null, JSON.stringify(members));
  }
});
