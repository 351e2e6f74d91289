import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { sha256 } from "./hash.ts";
import { Sha256Lanes } from "./sha256-lanes.ts";

const slotBytes = 1024;

function bytesOf(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.below(256));
}

function hashAll(lanes: Sha256Lanes, messages: readonly Uint8Array[]): readonly string[] {
  const starts = Int32Array.from(messages, (_, i) => lanes.start + i * slotBytes);
  const lengths = Int32Array.from(messages, ({ length }) => length);
  const outsFrom = lanes.start + messages.length * slotBytes;
  const outs = Int32Array.from(messages, (_, i) => outsFrom + 32 * i);
  messages.forEach((message, i) => {
    lanes.bytes.set(message, starts[i] ?? 0);
  });
  lanes.hash(messages.length, starts, lengths, outs);
  return [...outs].map((at) => Buffer.from(lanes.bytes.slice(at, at + 32)).toString("hex"));
}

test("sha256 lanes: equal to the native hash for every length up to 300, in every lane", () => {
  const lanes = new Sha256Lanes(310 * slotBytes);
  const prng = new Prng(1);
  for (let first = 0; first < 4; first += 1) {
    const messages = Array.from({ length: 300 - first }, (_, i) => bytesOf(prng, first + i));
    assert.deepEqual(
      hashAll(lanes, messages),
      messages.map((one) => sha256(one)),
    );
  }
});

test("sha256 lanes: lengths that differ widely beside each other, any number of them", () => {
  const lanes = new Sha256Lanes(20 * slotBytes);
  const prng = new Prng(2);
  for (let run = 0; run < 500; run += 1) {
    const messages = Array.from({ length: prng.below(10) }, () => bytesOf(prng, prng.below(900)));
    assert.deepEqual(
      hashAll(lanes, messages),
      messages.map((one) => sha256(one)),
    );
  }
});
