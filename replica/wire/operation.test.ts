// Operations and results: golden bytes, round trips, and hostile bytes that must never throw.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hexFrom } from "#replica/base/bytes.ts";
import { messageBodyBytesMax, requestOperationsMax } from "#replica/base/limits.ts";
import { utf8From } from "#replica/base/text.ts";
import { createRoom, encodeOperations, post, uuidv7 } from "#test/support/prepares.ts";
import {
  OperationReader,
  operationEntryType,
  operationKinds,
  readResult,
  resultBytes,
  resultCodes,
  resultsCount,
  validateOperations,
  writeResult,
} from "./operation.ts";

const key = uuidv7(1_800_000_000_000, 0x0a0b0c0d);

function readerOf(bytes: Uint8Array): OperationReader {
  const reader = new OperationReader();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  reader.open(bytes, view, 0, bytes.length);
  return reader;
}

test("operation: golden bytes of a room's creation", () => {
  const bytes = encodeOperations([createRoom("lobby", "acme")]);
  const names = hexFrom(utf8From("acmelobbycreator"));
  assert.equal(hexFrom(bytes), `180000000100040507000000${names}`);
});

test("operation: golden bytes of a post", () => {
  const salt = Uint8Array.from({ length: 16 }, (_, i) => i);
  const one = post({ tenant: "", room: "lobby", sender: "ann", key, body: "hi", salt, parent: 7 });
  const expected = [
    "3a000000",
    "020100050300",
    "0200",
    "01a3185c50007c0d80000a0b0c0d0000",
    "000102030405060708090a0b0c0d0e0f",
    "0700000000000000",
    hexFrom(utf8From("lobbyannhi")),
  ];
  assert.equal(hexFrom(encodeOperations([one])), expected.join(""));
});

test("operation: what was written is what a reader finds, in place", () => {
  const name = fc.string({ minLength: 1, maxLength: 30, unit: "binary" });
  const fields = fc.record({
    room: name,
    sender: name,
    tenant: fc.string({ maxLength: 30 }),
    parent: fc.nat(2 ** 31),
    body: fc.string({ maxLength: 200 }),
    type: fc.constantFrom("message" as const, "edit" as const, "settings" as const),
  });
  fc.assert(
    fc.property(fc.array(fields, { minLength: 1, maxLength: 5 }), (posts) => {
      const bytes = encodeOperations(posts.map((one) => post({ ...one, key })));
      assert.deepEqual(validateOperations(bytes), { ok: true, value: posts.length });
      const reader = readerOf(bytes);
      const cut = (at: number, length: number) => bytes.subarray(at, at + length);
      for (const one of posts) {
        assert.ok(reader.next());
        assert.equal(reader.fault, null);
        assert.equal(reader.kind, operationKinds.post);
        assert.equal(operationEntryType(reader), one.type);
        assert.equal(reader.parent, one.parent);
        assert.deepEqual(cut(reader.tenantAt, reader.tenantBytes), utf8From(one.tenant));
        assert.deepEqual(cut(reader.roomAt, reader.roomBytes), utf8From(one.room));
        assert.deepEqual(cut(reader.senderAt, reader.senderBytes), utf8From(one.sender));
        assert.deepEqual(cut(reader.bodyAt, reader.bodyBytes), utf8From(one.body));
        assert.deepEqual(cut(reader.keyAt, 16), key);
      }
      assert.equal(reader.next(), false);
    }),
    { numRuns: 200 },
  );
});

test("operation: hostile bytes get a fault and never throw", () => {
  const valid = encodeOperations([
    createRoom("lobby"),
    post({ room: "lobby", sender: "ann", key, body: "hello" }),
  ]);
  const change = fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255) });
  const mutated = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    const bytes = Uint8Array.from(valid);
    for (const { at, value } of changes) bytes[at] = value;
    return bytes;
  });
  const cut = fc.nat(valid.length).map((length) => valid.slice(0, length));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated, cut), (bytes) => {
      const judged = validateOperations(bytes);
      const reader = readerOf(bytes);
      let count = 0;
      let faults = 0;
      while (reader.next()) {
        count += 1;
        if (reader.fault !== null) faults += 1;
        assert.ok(count <= bytes.length);
      }
      if (judged.ok) assert.deepEqual([judged.value, faults], [count, 0]);
      else assert.ok(faults > 0);
    }),
    { numRuns: 2000 },
  );
});

test("operation: each rule has its fault", () => {
  const of = (change: (bytes: Uint8Array) => Uint8Array | undefined): unknown => {
    const bytes = encodeOperations([post({ room: "r", sender: "s", key, body: "b" })]);
    return validateOperations(change(bytes) ?? bytes);
  };
  const set = (at: number, value: number) => (bytes: Uint8Array) => {
    bytes[at] = value;
    return undefined;
  };
  const fault = (reason: string) => ({ ok: false, reason });
  assert.deepEqual(
    of((bytes) => bytes.subarray(0, 3)),
    fault("truncated"),
  );
  assert.deepEqual(of(set(0, 0)), fault("truncated"));
  assert.deepEqual(of(set(4, 99)), fault("kind"));
  assert.deepEqual(of(set(5, 0)), fault("type"));
  assert.deepEqual(of(set(5, 12)), fault("type"));
  assert.deepEqual(of(set(9, 2)), fault("length"));
  assert.deepEqual(of(set(10, 2)), fault("length"));
  assert.deepEqual(of(set(18, 0x40)), fault("key"));
  assert.deepEqual(of(set(20, 0xc0)), fault("key"));
  assert.deepEqual(of(set(51, 0xff)), fault("parent"));
  assert.deepEqual(of(set(53, 0xff)), fault("name"));
  const large = new Uint8Array(4 + 48 + 2 + messageBodyBytesMax + 1);
  large.set(encodeOperations([post({ tenant: "", room: "r", sender: "s", key, body: "" })]));
  const view = new DataView(large.buffer);
  view.setUint32(0, large.length - 4, true);
  view.setUint16(10, messageBodyBytesMax + 1, true);
  assert.deepEqual(validateOperations(large), fault("body"));
  const many = Array.from({ length: requestOperationsMax + 1 }, () => createRoom("r", ""));
  assert.deepEqual(validateOperations(encodeOperations(many)), fault("count"));
});

test("operation: results have 24 bytes, golden, and refuse nonsense", () => {
  const reply = new Uint8Array(2 * resultBytes);
  const view = new DataView(reply.buffer);
  writeResult(view, 0, resultCodes.ok, 1, 3, 0x1_0000_0002, 1_800_000_000_000_000);
  writeResult(view, resultBytes, resultCodes.moved, 0, 0, 77, 0);
  assert.equal(hexFrom(reply.subarray(0, 24)), "010001000300000002000000010000000080982817650600");
  assert.equal(resultsCount(reply), 2);
  assert.equal(resultsCount(reply.subarray(1)), null);
  const first = { code: "ok", dup: true, epoch: 3, seq: 0x1_0000_0002, timeUs: 18e14 };
  assert.deepEqual(readResult(reply, 0), first);
  assert.equal(readResult(reply, 1)?.code, "moved");
  assert.equal(readResult(reply, 2), null);
  assert.equal(readResult(reply, -1), null);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), (bytes) => {
      const result = readResult(bytes, 0);
      if (result !== null) assert.ok(Number.isSafeInteger(result.seq));
    }),
  );
});
