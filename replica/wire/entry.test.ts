// Entries: golden bytes that must hold for ever (the Merkle leaf covers them), and hostile bytes.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import type { Entry } from "./entry.ts";
import {
  decodeEntries,
  decodeEntry,
  encodeEntry,
  entryLeafPreimage,
  entrySeqAt,
  entryTimeAt,
  entryTypeFrom,
  entryTypeNumber,
  entryTypes,
  joinEntries,
  splitEntries,
} from "./entry.ts";
import { HistoryBlockReader, HistoryBlockWriter } from "./history-block.ts";

const sha256 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash("sha256").update(bytes).digest());

const entry: Entry = {
  type: "message",
  redacted: false,
  epoch: 2,
  seq: seqFrom(5),
  timeUs: timestampFrom(1_800_000_000_000_000),
  sender: "ann",
  key: Uint8Array.from({ length: 16 }, (_, i) => 0x10 + i),
  parent: seqFrom(4),
  salt: Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i),
  body: utf8From("hi"),
};
const redacted: Entry = {
  ...entry,
  redacted: true,
  salt: new Uint8Array(0),
  body: sha256(Uint8Array.of(...entry.salt, ...entry.body)),
};
const head =
  "0101030002000000050000000000000000809828176506000400000000000000" +
  "101112131415161718191a1b1c1d1e1f616e6e";

test("entry: golden bytes", () => {
  const bytes = encodeEntry(entry);
  assert.equal(hexFrom(bytes), `${head}a0a1a2a3a4a5a6a7a8a9aaabacadaeaf6869`);
  assert.deepEqual(decodeEntry(bytes), { ok: true, value: entry });
  const view = new DataView(bytes.buffer);
  assert.equal(entrySeqAt(view, 0), 5);
  assert.equal(entryTimeAt(view, 0), entry.timeUs);
});

test("entry: a redaction keeps the leaf, and the leaf covers the room", () => {
  const [tenant, room] = [utf8From("t"), utf8From("lobby")];
  const before = entryLeafPreimage(tenant, room, encodeEntry(entry), sha256);
  const after = entryLeafPreimage(tenant, room, encodeEntry(redacted), sha256);
  assert.equal(hexFrom(before), `0105746c6f626279${head}${hexFrom(redacted.body)}`);
  assert.deepEqual(after, before);
  assert.notDeepEqual(entryLeafPreimage(room, tenant, encodeEntry(entry), sha256), before);
  const decoded = decodeEntry(encodeEntry(redacted));
  assert.ok(decoded.ok && decoded.value.redacted && decoded.value.salt.length === 0);
});

test("entry: type numbers never change", () => {
  const numbers = Object.values(entryTypes);
  assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal(entryTypeNumber("marker"), 8);
  assert.equal(entryTypeFrom(8), "marker");
  assert.equal(entryTypeFrom(12), null);
});

test("entry: hostile bytes get a reason and never throw; what decodes encodes to the same", () => {
  const valid = encodeEntry(entry);
  const change = fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255) });
  const mutated = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    const bytes = Uint8Array.from(valid);
    for (const { at, value } of changes) bytes[at] = value;
    return bytes;
  });
  const cut = fc.nat(valid.length).map((length) => valid.slice(0, length));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, cut), (bytes) => {
      const decoded = decodeEntry(bytes);
      if (decoded.ok) assert.deepEqual(encodeEntry(decoded.value), bytes);
    }),
    { numRuns: 2000 },
  );
});

test("entry: lists are split, joined and refused when cut or too long", () => {
  const list = joinEntries([encodeEntry(entry), encodeEntry(redacted)]);
  assert.deepEqual(decodeEntries(list, 2), [entry, redacted]);
  assert.equal(decodeEntries(list, 1), null);
  assert.deepEqual(splitEntries(new Uint8Array(0), 0), []);
  for (let length = 1; length < list.length; length += 1) {
    const parts = decodeEntries(list.subarray(0, length), 2);
    assert.ok(parts === null || parts.length === 1);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const parts = splitEntries(bytes, 10);
      if (parts !== null) assert.deepEqual(joinEntries(parts), bytes);
    }),
  );
});

test("history block: runs hold consecutive entries of a room and end with the block", () => {
  const writer = new HistoryBlockWriter(new Uint8Array(200));
  const source = encodeEntry(entry);
  const from = new DataView(source.buffer);
  assert.ok(writer.tryAppend(1, 5, source, from, 0, 30));
  assert.ok(writer.tryAppend(1, 6, source, from, 0, 30));
  assert.ok(writer.tryAppend(1, 8, source, from, 0, 20));
  assert.ok(writer.tryAppend(2, 9, source, from, 0, 10));
  assert.equal(writer.tryAppend(2, 10, source, from, 0, 60), false);
  const reader = new HistoryBlockReader(writer.bytes.subarray(0, writer.used));
  const runs: number[][] = [];
  while (reader.next()) {
    runs.push([reader.room, reader.seqFirst, reader.count, reader.end - reader.start]);
  }
  assert.deepEqual(runs, [
    [1, 5, 2, 68],
    [1, 8, 1, 24],
    [2, 9, 1, 14],
  ]);
});
