// The SDK's own wire code against the published vectors, and its small parts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { closeAction } from "./chat-error.ts";
import { Backoff, runtimeClock } from "./runtime-clock.ts";
import { KeyMaker } from "./uuid.ts";
import { type ClientFrame, decodeFrame, encodeFrame, tokenFacts } from "./wire.ts";

interface Vector {
  readonly name: string;
  readonly text: string;
  readonly valid: boolean;
}

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../api/vectors/${name}`, import.meta.url), "utf8"));
}

test("sdk: every server vector is judged as published; unknown ops are ignored", () => {
  for (const { name, text, valid } of vectors<Vector[]>("server-frames.json")) {
    const decoded = decodeFrame(text);
    if (valid) assert.ok(decoded !== "bad" && decoded !== "unknown", name);
    else assert.ok(decoded === "bad" || decoded === "unknown", name);
    if (name.startsWith("unknown op")) assert.equal(decoded, "unknown");
  }
});

test("sdk: frames that it sends are, member for member, the published examples", () => {
  const texts = vectors<Vector[]>("client-frames.json").filter(({ name }) => {
    return / example /.test(name);
  });
  assert.ok(texts.length >= 8);
  for (const { text } of texts) {
    const { id, ...frame } = JSON.parse(text) as { id?: string } & ClientFrame;
    assert.deepEqual(JSON.parse(encodeFrame(frame as ClientFrame, id)), JSON.parse(text));
  }
});

test("sdk: close codes are acted on as published", () => {
  const { closes } = vectors<{ closes: { code: number; action: string }[] }>("errors.json");
  assert.ok(closes.length > 5);
  for (const { code, action } of closes) assert.equal(closeAction(code), action, String(code));
});

test("sdk: any message is judged without a throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.anything()), (message) => {
      decodeFrame(message);
    }),
    { numRuns: 300 },
  );
});

test("sdk: keys are UUIDv7 of now, rise, and never repeat", () => {
  let nowMs = 1_790_000_000_000;
  const keys = new KeyMaker({ ...runtimeClock, wallMs: () => nowMs });
  const made: string[] = [];
  for (let i = 0; i < 10_000; i += 1) {
    if (i % 3000 === 0) nowMs += 1;
    if (i === 7000) nowMs -= 5000;
    made.push(keys.next());
  }
  for (const key of made) {
    assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  assert.deepEqual([...made].sort(), made);
  assert.equal(new Set(made).size, made.length);
  const ms = Number.parseInt((made[0] ?? "").replace("-", "").slice(0, 12), 16);
  assert.equal(ms, 1_790_000_000_001);
});

test("sdk: backoff has full jitter, a cap, and starts anew only after a stable connection", () => {
  const backoff = new Backoff({ ...runtimeClock, fraction: () => 0.999_999 });
  const waits = Array.from({ length: 10 }, () => Math.round(backoff.next()));
  assert.deepEqual(waits.slice(0, 7), [500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
  backoff.ended(9_999);
  assert.equal(Math.round(backoff.next()), 30_000);
  backoff.ended(10_000);
  assert.equal(Math.round(backoff.next()), 500);
  assert.equal(new Backoff({ ...runtimeClock, fraction: () => 0 }).next(), 0);
});

test("sdk: user and end of a token are read, and of no token nothing", () => {
  const payload = Buffer.from(JSON.stringify({ sub: "änn", exp: 7 })).toString("base64url");
  assert.deepEqual(tokenFacts(`a.${payload}.c`), { user: "änn", expiresS: 7 });
  assert.deepEqual(tokenFacts("opaque"), { user: null, expiresS: null });
});
