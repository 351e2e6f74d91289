// Goal: the floor's containers, ids and chance keep their bounds.
// Method: direct calls and properties.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BoundedMap } from "./bounded-map.ts";
import { checksumFrom, checksumOf, opFrom, replicaFrom } from "./brands.ts";
import { bytesCompare, bytesConcat, bytesEqual, bytesFromHex, hexFrom } from "./bytes.ts";
import { readU64, writeU64 } from "./bytes.ts";
import { slotsCount } from "./limits.ts";
import { Prng } from "./prng.ts";
import { Ring } from "./ring.ts";
import { slotOfRoom } from "./slots.ts";
import { textFromUtf8, utf8From } from "./text.ts";

test("BAS-01: ids out of range are refused", () => {
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => opFrom(bad), /BAS-01/);
  assert.throws(() => replicaFrom(3), /BAS-01/);
  assert.throws(() => checksumFrom("AB".repeat(32)), /BAS-01/);
  assert.equal(opFrom(2 ** 53 - 1), 2 ** 53 - 1);
});

test("BAS-02: one seed, one sequence; forks and seeds differ", () => {
  const sequence = (seed: number) => {
    const prng = new Prng(seed);
    return Array.from({ length: 50 }, () => prng.uint32()).join();
  };
  assert.equal(sequence(7), sequence(7));
  assert.notEqual(sequence(7), sequence(8));
  assert.notEqual(sequence(1), sequence(1 + 2 ** 32));
  assert.deepEqual(new Prng(42).below(1_000_000_000), 906_615_605);
});

test("BAS-02: below and between are in range and reach both ends", () => {
  const prng = new Prng(3);
  const seen = new Set(Array.from({ length: 500 }, () => prng.between(2, 5)));
  assert.deepEqual([...seen].sort(), [2, 3, 4, 5]);
});

test("BAS-03: a ring behaves as a queue of at most countMax", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(fc.option(fc.nat())), (size, steps) => {
      const ring = new Ring<number>(size);
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) assert.equal(ring.shift(), model.shift());
        else assert.equal(ring.tryPush(step), model.length < size && model.push(step) > 0);
        assert.equal(ring.count, model.length);
        assert.equal(ring.at(0), model[0]);
      }
    }),
  );
  assert.throws(() => {
    const ring = new Ring<number>(1);
    ring.push(1);
    ring.push(2);
  }, /BAS-03/);
});

test("BAS-03: a full map takes no new key but replaces known ones", () => {
  const map = new BoundedMap<string, number>(1);
  assert.equal(map.trySet("a", 1), true);
  assert.equal(map.trySet("b", 1), false);
  assert.equal(map.trySet("a", 2), true);
  assert.equal(map.get("a"), 2);
});

test("BAS-04: u64 and hex survive a round trip; unsafe integers read as NaN", () => {
  const view = new DataView(new ArrayBuffer(8));
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      writeU64(view, 0, value);
      assert.equal(readU64(view, 0), value);
    }),
  );
  view.setUint32(4, 2 ** 21, true);
  assert.ok(Number.isNaN(readU64(view, 0)));
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.ok(bytesEqual(bytesFromHex(hexFrom(bytes)), bytes));
    }),
  );
});

test("bytes: order is by unsigned bytes, then length; concatenation keeps all", () => {
  assert.ok(bytesCompare(Uint8Array.of(200), Uint8Array.of(100, 1)) > 0);
  assert.ok(bytesCompare(Uint8Array.of(1), Uint8Array.of(1, 0)) < 0);
  assert.deepEqual(bytesConcat([Uint8Array.of(1), Uint8Array.of(2, 3)]), Uint8Array.of(1, 2, 3));
});

test("text: invalid UTF-8 is null, valid text survives", () => {
  assert.equal(textFromUtf8(Uint8Array.of(0xff)), null);
  assert.equal(textFromUtf8(utf8From("\ufeffgr\u00fc\u00df")), "\ufeffgr\u00fc\u00df");
});

test("text: short names by hand are what the encoder makes of them, lone surrogates too", () => {
  const encoder = new TextEncoder();
  const text = fc.oneof(
    fc.string({ maxLength: 70 }),
    fc.string({ unit: "binary", maxLength: 70 }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  );
  fc.assert(fc.property(text, (it) => assert.deepEqual(utf8From(it), encoder.encode(it))));
});

test("BAS-01: a checksum of 32 bytes is their hex, of any other count none", () => {
  const bytes = bytesFromHex("5a".repeat(32));
  assert.equal(checksumOf(bytes), checksumFrom("5a".repeat(32)));
  assert.throws(() => checksumOf(bytes.subarray(1)), /BAS-01/);
});

test("slots: fixed for ever, spread over the whole space", () => {
  assert.equal(slotOfRoom("", "lobby"), slotOfRoom("", "lobby"));
  assert.notEqual(slotOfRoom("a", "b"), slotOfRoom("", "a\u0000b"));
  const used = new Set(Array.from({ length: 40_000 }, (_, i) => slotOfRoom("", `room-${i}`)));
  assert.ok(used.size > slotsCount * 0.99, `${used.size} slots used`);
});
