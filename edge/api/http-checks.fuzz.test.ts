// Goal: any value is a request or is refused with one sentence; what is accepted keeps its bounds.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hostileValues } from "#test/support/hostile.ts";
import * as checks from "./http-checks.ts";

const all = Object.entries(checks);

function judge(value: unknown): void {
  for (const [name, check] of all) {
    const checked = check(value);
    if (checked.ok) assert.equal(checked.value, value, name);
    else assert.match(checked.detail, /^[^\n]{5,200}\.$/, name);
  }
}

test("api: checks: fuzz: any value is judged by every check", () => {
  assert.equal(all.length, 13);
  fc.assert(fc.property(fc.oneof(fc.anything(), fc.jsonValue(), fc.string()), judge), {
    numRuns: 400,
    interruptAfterTimeLimit: 900,
  });
});

const valid: readonly object[] = [
  { room: "lobby" },
  { users: ["ann", "ben"] },
  { user: "ann", scopes: ["read"] },
  { body: "Hello", from: "ann" },
  { role: "member" },
  { code: "ABCD-EFGH" },
];

test("api: checks: fuzz: bodies near valid ones are judged", () => {
  for (const body of valid) {
    assert.ok(
      all.some(([, check]) => check(body).ok),
      JSON.stringify(body),
    );
    for (const value of hostileValues(body, 11, 100)) judge(value);
  }
});
