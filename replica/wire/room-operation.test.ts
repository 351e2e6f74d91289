// Rooms for two and configurations: golden bytes, faults, and that readers find what was written.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import { configure, createDm, encodeOperations, retain, trim } from "#test/support/prepares.ts";
import { OperationReader, operationKinds, validateOperations } from "./operation.ts";

function first(bytes: Uint8Array): OperationReader {
  const reader = new OperationReader();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  reader.open(bytes, view, 0, bytes.length);
  assert.ok(reader.next());
  return reader;
}

test("room operation: golden bytes", () => {
  const dm = encodeOperations([createDm("dm:1", ["ann", "bob"], "acme")]);
  assert.equal(hexFrom(dm), `160000000403040403000000${hexFrom(utf8From("acmedm:1annbob"))}`);
  const quotas = { version: 7, rooms: 1, members: 2, entriesPerSecond: 3 };
  const config = encodeOperations([configure({ room: "lobby", tenant: "acme", ...quotas })]);
  const numbers = "070000000000000001000000020000000300000000000000";
  const names = hexFrom(utf8From("acmelobbyoperator"));
  assert.equal(hexFrom(config), `310000000300040508000000${numbers}${names}`);
});

test("room operation: what was written is what a reader finds", () => {
  const number = fc.nat(2 ** 31);
  const fields = fc.record({ version: fc.integer({ min: 1 }), rooms: number, members: number });
  fc.assert(
    fc.property(fields, number, fc.constantFrom("", "lobby"), (some, rate, room) => {
      const wanted = { ...some, entriesPerSecond: rate };
      const reader = first(encodeOperations([configure({ room, ...wanted })]));
      assert.equal(reader.fault, null);
      assert.equal(reader.kind, operationKinds.configure);
      assert.deepEqual({ version: reader.version, ...reader.readQuotas() }, wanted);
      assert.equal(reader.roomBytes, room.length);
    }),
  );
  const bytes = encodeOperations([createDm("r", ["ann", "bob"])]);
  const reader = first(bytes);
  assert.equal(reader.fault, null);
  const cut = (at: number, length: number) => bytes.subarray(at, at + length);
  assert.deepEqual(cut(reader.senderAt, reader.senderBytes), utf8From("ann"));
  assert.deepEqual(cut(reader.otherAt, reader.otherBytes), utf8From("bob"));
});

test("room operation: a retention has its three limits and the hold", () => {
  const retention = { ageSeconds: 2 ** 32 - 1, entries: 7, bytes: 2 ** 53 - 1, hold: true };
  const reader = first(encodeOperations([retain({ room: "r", version: 9, ...retention })]));
  assert.equal(reader.fault, null);
  assert.equal(reader.version, 9);
  assert.deepEqual(reader.readRetention(), retention);
});

test("room operation: each rule has its fault", () => {
  const faultOf = (bytes: Uint8Array, at: number, value: number): unknown => {
    bytes[at] = value;
    const judged = validateOperations(bytes);
    return judged.ok ? "ok" : judged.reason;
  };
  const dm = () => encodeOperations([createDm("r", ["ann", "bob"])]);
  assert.equal(faultOf(dm(), 0, dm()[0] ?? 0), "ok");
  assert.equal(faultOf(dm(), 9, 1), "length");
  assert.equal(faultOf(dm(), 5, 2), "length");
  assert.equal(faultOf(dm(), 14, 0x7a), "name", "not in ascending order");
  const config = () => encodeOperations([configure({ room: "r", version: 1 })]);
  assert.equal(faultOf(config(), 12, 0), "parent", "versions begin at 1");
  assert.equal(faultOf(config(), 5, 1), "length");
  assert.equal(faultOf(config(), 32, 1), "length");
  const kept = () => encodeOperations([retain({ room: "r", version: 1, bytes: 2 ** 40 })]);
  assert.equal(faultOf(kept(), 28, 7), "ok");
  assert.equal(faultOf(kept(), 5, 2), "length");
  assert.equal(faultOf(kept(), 35, 255), "parent", "bytes are a safe integer");
  const cut = () => encodeOperations([trim("r", 2)]);
  for (const at of [20, 24, 28, 32]) assert.equal(faultOf(cut(), at, 1), "length");
});

test("room operation: hostile bytes get a fault and never throw", () => {
  const valid = encodeOperations([
    createDm("r", ["ann", "bob"]),
    configure({ room: "r", version: 2 }),
  ]);
  const change = fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Uint8Array.from(valid);
      for (const { at, value } of changes) bytes[at] = value;
      const judged = validateOperations(bytes);
      assert.ok(judged.ok || judged.reason.length > 0);
    }),
    { numRuns: 1000 },
  );
});
