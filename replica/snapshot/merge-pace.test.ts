// When a merge works: it goes on while blocks are read, and says when it is late.
import assert from "node:assert/strict";
import { test } from "node:test";
import { manifestOf, MemoryShard } from "#test/support/memory-shard.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { mergeLag } from "./compaction.ts";
import type { BlockAddress } from "./port.ts";

const startMs = 1_800_000_000_000;
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 1, max: 100_000 },
  roomsMax: 1000,
  seed: Uint8Array.from({ length: 16 }, (_, i) => 7 * i),
};

/** Commits some 300 KiB, ten blocks, and freezes. */
function commit(shard: MemoryShard): void {
  for (let i = 0; i < 20; i += 1) {
    const op = shard.machine.op + 1;
    const operations = op === 1 ? [createRoom("r")] : [];
    for (let n = 0; n < 5; n += 1) {
      const key = uuidv7(startMs + op * 1000 + n, op * 10 + n);
      operations.push(post({ room: "r", sender: "ann", key, body: "x".repeat(3000) }));
    }
    shard.commit(prepareOf(op, (startMs + op * 1000) * 1000, [requestOf(operations)]));
  }
  shard.freeze();
}

/** A shard whose first merge has just started. */
function merging(): MemoryShard {
  const shard = new MemoryShard(genesis);
  for (let i = 0; i < 8; i += 1) {
    commit(shard);
    shard.writeCheckpoint();
  }
  assert.equal(manifestOf(shard.manifest).merges.length, 1);
  return shard;
}

test("snapshot: a merge works on what it has while further blocks are read (SNP-06)", () => {
  const shard = merging();
  const twin = merging();
  let read: readonly BlockAddress[] | null = null;
  const steps = { meanwhile: 0, waiting: 0, reads: 0 };
  for (let step = shard.writer.step(8_000); step.kind !== "idle"; step = shard.writer.step(8_000)) {
    if (step.kind === "write") {
      shard.disk.set(step.segment.id, step.segment.blocks);
      shard.writer.written(step.segment.id);
    } else if (step.kind === "read") {
      assert.equal(read, null, "one read at a time");
      read = step.addresses;
      steps.reads += 1;
    } else if (step.kind === "waiting") {
      assert.ok(read !== null, "it waits for a read");
      shard.writer.loaded(shard.load(read));
      read = null;
      steps.waiting += 1;
    } else if (read !== null) steps.meanwhile += 1;
  }
  assert.equal(read, null);
  assert.ok(steps.reads > 8 && steps.meanwhile > steps.waiting, JSON.stringify(steps));
  for (let i = 0; i < mergeLag(0); i += 1) {
    for (const one of [shard, twin]) {
      commit(one);
      one.writeCheckpoint();
    }
    assert.equal(shard.root, twin.root);
  }
  assert.equal(manifestOf(shard.manifest).segments[0]?.level, 1);
});

test("snapshot: a merge that has done less than its share of the way is late", () => {
  const shard = merging();
  const { writer } = shard;
  assert.equal(writer.mergesLate(0), 0, "it has just begun");
  assert.equal(writer.mergesLate(1), 1 / mergeLag(0));
  for (let i = 0; i < 10; i += 1) shard.step();
  assert.equal(writer.mergesLate(0.01), 0);
  const late = writer.mergesLate(mergeLag(0));
  assert.ok(late > 0.1 && late < 0.9, `its checkpoint is there, ${late} of it is not done`);
  shard.mergeAll();
  assert.equal(writer.mergesLate(mergeLag(0)), 0);
});
