// Goal: what a volume may say of ops that it does not hold. Method: the real class, driven by hand,
// with a disk on which nothing lands that the test does not let land.
import assert from "node:assert/strict";
import { test } from "node:test";
import { opFrom, replicaFrom, timestampFrom, viewFrom } from "#replica/base/brands.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { Bench } from "#test/support/bare-core/bench.ts";
import { Cluster } from "#test/support/bare-core/cluster.ts";
import type { SimDisk } from "#test/support/bare-core/disk.ts";
import { fakeSealer } from "#test/support/bare-core/fake-sealer.ts";
import { runOptions } from "#test/support/bare-core/run-options.ts";

function freshDisk(index: number): SimDisk {
  return new Cluster(1, runOptions(1), null).machine(index).disk;
}

/** Op 1, made by the primary of view 0. */
function firstOp(disk: SimDisk): Prepare {
  const root = disk.slot(0).prepare?.header;
  assert(root !== undefined);
  const fields = {
    kind: "noop",
    op: opFrom(1),
    view: viewFrom(0),
    author: replicaFrom(0),
    incarnation: "1".repeat(32) as Prepare["header"]["incarnation"],
    parent: root.checksum,
    timestampUs: timestampFrom(root.timestampUs + 1),
    commitMax: opFrom(0),
    quorumCheckpointOp: opFrom(0),
    checkpointId: disk.superblock.checkpoint.id,
    machineVersion: root.machineVersion,
    requestsCount: 0,
  } as const;
  return fakeSealer.seal(fields, new Uint8Array(0), "");
}

/** View 1 starts with op 1 as its head. */
function startViewOne(bench: Bench, prepare: Prepare, commitMax: number): void {
  bench.from(1, 1, {
    kind: "start_view",
    op: 1,
    commitMax,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [prepare.header, bench.disk.slot(0).prepare?.header],
    nonce: 0,
  });
}

function pass(bench: Bench, forMs: number, prepares: boolean): void {
  for (const untilMs = bench.nowMs + forMs; bench.nowMs < untilMs; ) {
    bench.nowMs += 5;
    bench.step({ kind: "timeout" });
    bench.settle(prepares);
  }
}

test("vsr: a learner votes only after it holds what its old self may have acked (VSR-48)", () => {
  const disk = freshDisk(2);
  const { superblock } = disk;
  const lives = [{ sequence: 1, nonce: 9, logView: viewFrom(0), op: null }];
  const standing = { ...superblock.standing, lives, learnOp: opFrom(1) };
  disk.superblock = { ...superblock, recovering: true, standing };
  const bench = new Bench(2, disk);
  bench.settle();
  for (const peer of [0, 1]) bench.from(peer, 0, bench.vouching());
  const prepare = firstOp(disk);
  startViewOne(bench, prepare, 1);
  bench.settle();
  pass(bench, 80, true);
  assert.equal(bench.replica.status, "learner");
  assert.equal(disk.superblock.recovering, true, "op 1 is not executed here");
  bench.from(1, 1, { kind: "prepare", prepare });
  pass(bench, 80, false);
  assert.equal(bench.replica.commitMin, 1);
  assert.equal(disk.superblock.recovering, true, "op 1 is executed, but not on this disk");
});

test("vsr: the same learner votes once op 1 is executed and on its disk (VSR-48)", () => {
  const disk = freshDisk(2);
  const { superblock } = disk;
  const lives = [{ sequence: 1, nonce: 9, logView: viewFrom(0), op: null }];
  const standing = { ...superblock.standing, lives, learnOp: opFrom(1) };
  disk.superblock = { ...superblock, recovering: true, standing };
  const bench = new Bench(2, disk);
  bench.settle();
  for (const peer of [0, 1]) bench.from(peer, 0, bench.vouching());
  const prepare = firstOp(disk);
  startViewOne(bench, prepare, 1);
  bench.settle();
  bench.from(1, 1, { kind: "prepare", prepare });
  pass(bench, 80, true);
  assert.equal(bench.replica.commitMin, 1);
  assert.equal(disk.superblock.recovering, false);
  assert.equal(bench.replica.status, "normal");
});

test("vsr: an ack of an op that its sender only heard to be committed binds its head (A3)", () => {
  // What the primary remembers of such an ack must never make a sound volume a rolled-back one.
  const disk = freshDisk(2);
  const { superblock } = disk;
  const lives = [{ sequence: 1, nonce: 9, logView: viewFrom(0), op: opFrom(0) }];
  disk.superblock = { ...superblock, standing: { ...superblock.standing, lives } };
  const bench = new Bench(2, disk);
  bench.settle();
  for (const peer of [0, 1]) bench.from(peer, 0, bench.vouching());
  const prepare = firstOp(disk);
  bench.from(0, 0, { kind: "prepare", prepare });
  bench.from(0, 0, {
    kind: "commit",
    commitMax: 1,
    commitChecksum: prepare.header.checksum,
    checkpoint: superblock.checkpoint,
    quorumCheckpointOp: 0,
    monotonicMs: 1,
  });
  assert.equal(bench.replica.commitMax, 1);
  // The new primary was not told of the commit, and op 1 never lands on this disk.
  startViewOne(bench, prepare, 0);
  bench.sent = [];
  bench.settle(false);
  const ack = bench.last("prepare_ok");
  assert.ok(ack?.kind === "prepare_ok" && ack.op === 1, "it counts at the new primary");
  assert.notEqual(disk.slot(1).prepare?.header.op, 1);
  disk.crash();
  const again = new Bench(2, disk);
  again.settle();
  assert.equal(again.replica.head, 1);
  const life = again.disk.superblock.standing.lives.at(-1);
  assert.deepEqual([life?.logView, life?.op], [1, 1], "no peer that remembers op 1 doubts it");
});
