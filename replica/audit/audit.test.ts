// Lines keep their form, their order and their number, whatever the shard answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { auditRoom } from "#replica/wire/audit-room.ts";
import { OperationReader, resultBytes, resultCodes, writeResult } from "#replica/wire/operation.ts";
import { auditLine, decodeAuditLine, encodeAuditLine } from "./audit-line.ts";
import { AuditWriter, auditWaitingMax } from "./audit-writer.ts";
import type { AuditBatch } from "./audit-writer.ts";

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
