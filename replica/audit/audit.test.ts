// Lines keep their form, their order and their number, whatever the shard answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Prng } from "#replica/base/prng.ts";
import { auditRoom } from "#replica/wire/audit-room.ts";
import { OperationReader, resultBytes, resultCodes, writeResult } from "#replica/wire/operation.ts";
import { auditLine, decodeAuditLine, encodeAuditLine } from "./audit-line.ts";
import type { AuditMemory } from "./audit-memory.ts";
import { AuditWriter, auditWaitingMax } from "./audit-writer.ts";
import type { AuditBatch, AuditChance } from "./audit-writer.ts";

const room = { tenant: "~system", room: "audit" };

function makeWriter(): AuditWriter {
  let made = 0;
  return new AuditWriter(room, "replica/0", {
    key: () => {
      made += 1;
      const key = new Uint8Array(16);
      new DataView(key.buffer).setUint32(0, made);
      key[6] = 0x70;
      key[8] = 0x80;
      return key;
    },
    salt: () => new Uint8Array(16).fill(made),
  });
}

/** Kinds and keys of the posts in a request. */
function postsOf({ operations }: AuditBatch): { kind: string; key: number; late: boolean }[] {
  const reader = new OperationReader();
  const view = new DataView(operations.buffer);
  reader.open(operations, view, 0, operations.length);
  const posts: { kind: string; key: number; late: boolean }[] = [];
  while (reader.next()) {
    assert.equal(reader.fault, null);
    if (reader.kind === 1) continue;
    const body = operations.subarray(reader.bodyAt, reader.bodyAt + reader.bodyBytes);
    const line = decodeAuditLine(body);
    assert.ok(line !== null);
    posts.push({ kind: line.kind, key: view.getUint32(reader.keyAt), late: line.late });
  }
  return posts;
}

/** Everything of a request was carried out. */
function okOf({ count }: AuditBatch): Uint8Array {
  return results(new Array<number>(count).fill(resultCodes.ok));
}

function results(codes: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(codes.length * resultBytes);
  const view = new DataView(bytes.buffer);
  for (const [i, code] of codes.entries()) writeResult(view, i * resultBytes, code, 0, 1, 1, 1);
  return bytes;
}

test("audit: a line comes back as it was, and nothing else passes for one", () => {
  const facts = { view: 3, primary: 0, why: "asked", forced: false, target: null };
  const line = { kind: "transfer", by: "operator", atUs: 17, late: true, facts };
  assert.deepEqual(decodeAuditLine(encodeAuditLine(line)), line);
  for (const change of [
    { kind: "A b" },
    { by: "" },
    { atUs: -1 },
    { late: 1 },
    { facts: { deep: {} } },
    { facts: { text: "x".repeat(5000) } },
    { facts: [] },
  ]) {
    assert.equal(auditLine({ ...line, ...change }), null, JSON.stringify(change));
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        assert.equal(decodeAuditLine(bytes), null);
      },
    ),
    { numRuns: 100 },
  );
});

test("audit: lines go out in order, an unanswered request again with keys and bodies", () => {
  const writer = makeWriter();
  for (let i = 0; i < 20; i += 1) writer.note(`kind${i}`, { i }, 1_000);
  const first = writer.next(2_000);
  assert.ok(first !== null && first.count === 17);
  assert.equal(writer.next(2_000), null);
  writer.answered(null);
  const again = writer.next(90_000_000);
  assert.deepEqual(again, first);
  const { ok, busy } = resultCodes;
  writer.answered(results([ok, ok, ok, busy, ...new Array<number>(13).fill(ok)]));
  assert.equal(writer.count, 18);
  const next = writer.next(90_000_000);
  assert.ok(next !== null && next.count === 16);
  const posts = postsOf(next);
  assert.equal(posts[0]?.kind, "kind2");
  assert.deepEqual(
    posts.map(({ late }) => late),
    [...new Array<boolean>(14).fill(false), true, true],
  );
});

test("audit: too many lines are counted, and the count is a line", () => {
  const writer = makeWriter();
  for (let i = 0; i < auditWaitingMax + 5; i += 1) writer.note("kind", {}, 0);
  assert.deepEqual([writer.count, writer.droppedCount], [auditWaitingMax, 5]);
  const kinds: string[] = [];
  for (let batch = writer.next(0); batch !== null; batch = writer.next(0)) {
    kinds.push(...postsOf(batch).map(({ kind }) => kind));
    writer.answered(results(new Array<number>(batch.count).fill(resultCodes.ok)));
  }
  assert.equal(kinds.length, auditWaitingMax + 1);
  assert.equal(kinds.at(-1), "lines_dropped");
});

test("audit: each shard has a room of its own among the slots that it owns", () => {
  const names = [0, 1, 2, 3].map((part) => auditRoom((slot) => Math.floor(slot / 1024) === part));
  assert.equal(new Set(names.map((name) => name?.room)).size, 4);
  assert.deepEqual(
    auditRoom(() => true),
    room,
  );
  assert.equal(
    auditRoom(() => false),
    null,
  );
});

/** A memory that may tear its last record, as a kill does. */
class Memory implements AuditMemory {
  records = "";

  append(record: string): void {
    this.records += record;
  }

  replace(records: string): void {
    this.records = records;
  }
}

/** Chance whose keys differ between lives, as real ones do. */
function chanceFrom(prng: Prng): AuditChance {
  const bytes = () => Uint8Array.from({ length: 16 }, () => prng.below(256));
  const key = () => bytes().with(6, 0x70).with(8, 0x80);
  return { key, salt: bytes };
}

test("audit: through any number of kills each line is in the room exactly once, in order", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const prng = new Prng(seed);
    const memory = new Memory();
    const taken: string[] = [];
    const known = new Map<number, string>();
    let noted = 0;
    let writer = new AuditWriter(room, "replica/0", chanceFrom(prng), memory);
    for (let step = 0; step < 60; step += 1) {
      const wallUs = step * 1_000_000;
      if (prng.chance(0.5)) {
        noted += 1;
        writer.note(`line_${noted}`, { step }, wallUs);
      }
      const batch = prng.chance(0.6) ? writer.next(wallUs) : null;
      // The shard takes it or not; either way the answer may be lost with the process.
      const took = batch !== null && prng.chance(0.7) ? postsOf(batch) : null;
      for (const { kind, key, late } of took ?? []) {
        assert.equal(known.get(key) ?? `${kind} ${late}`, `${kind} ${late}`, "same key, same body");
        if (!known.has(key)) taken.push(kind);
        known.set(key, `${kind} ${late}`);
      }
      if (prng.chance(0.3)) writer = new AuditWriter(room, "replica/0", chanceFrom(prng), memory);
      else if (batch !== null) writer.answered(took === null ? null : okOf(batch));
    }
    for (let batch = writer.next(0); batch !== null; batch = writer.next(0)) {
      for (const { kind, key } of postsOf(batch)) if (!known.has(key)) taken.push(kind);
      writer.answered(okOf(batch));
    }
    assert.deepEqual(
      taken,
      Array.from({ length: noted }, (_, i) => `line_${i + 1}`),
      `${seed}`,
    );
    assert.equal(memory.records, "", "what is in the room is forgotten");
  }
});

test("audit: whatever stands in the memory, what can be read of it is sent and no more", () => {
  const memory = new Memory();
  const first = new AuditWriter(room, "replica/0", chanceFrom(new Prng(1)), memory);
  for (let i = 1; i <= 5; i += 1) first.note(`line_${i}`, { text: "\u00e9\n" }, 1);
  first.next(2);
  const whole = memory.records;
  const prng = new Prng(7);
  for (let i = 0; i < 1_000; i += 1) {
    const at = prng.below(whole.length);
    const byte = String.fromCharCode(prng.below(128));
    const changed = [whole.slice(0, at), whole.slice(0, at) + byte + whole.slice(at + 1)];
    const given = new Memory();
    given.records = prng.pick(changed);
    const writer = new AuditWriter(room, "replica/0", chanceFrom(new Prng(2)), given);
    assert.ok(writer.count <= 5);
    const batch = writer.next(9);
    if (batch !== null) assert.equal(postsOf(batch).length, writer.count);
  }
  const room4k = "x".repeat(3_000_000);
  for (const records of [
    room4k,
    `${room4k}\n`,
    "null\n",
    "[]\n",
    '{"n":1}\n',
    '{"n":-1,"line":{}}\n',
  ]) {
    const given = new Memory();
    given.records = records;
    assert.equal(new AuditWriter(room, "r", chanceFrom(prng), given).count, 0);
  }
});

test("audit: a line that was sent over a day ago is not written twice, but counted", () => {
  const memory = new Memory();
  const before = new AuditWriter(room, "replica/0", chanceFrom(new Prng(1)), memory);
  before.note("started", {}, 1);
  before.next(2);
  const writer = new AuditWriter(room, "replica/0", chanceFrom(new Prng(2)), memory);
  assert.ok(writer.next(3) !== null);
  writer.answered(results([resultCodes.room_exists, resultCodes.key_too_old]));
  const batch = writer.next(4);
  assert.ok(batch !== null);
  assert.deepEqual(
    postsOf(batch).map(({ kind }) => kind),
    ["lines_dropped"],
  );
});
