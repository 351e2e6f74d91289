// Goal: head and log at open (rules A2, A5a.2 and A5a.4): the superblock's headers against what the
// WAL holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checksumZero,
  incarnationFrom,
  opFrom,
  replicaFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { RecoveredSlot } from "#replica/wire/storage-port.ts";
import { freshStanding, type SuperblockState } from "#replica/wire/superblock.ts";
import { recoverLog } from "./recovery.ts";
import { chainOf, headerOf } from "./testdata/headers.ts";

const chain = chainOf(40);

function superblock(changes: Partial<SuperblockState>): SuperblockState {
  return {
    sequence: 5,
    identity: {
      cluster: "c".repeat(32),
      shard: "test",
      replica: replicaFrom(1),
      incarnation: incarnationFrom("1".repeat(32)),
      formationId: checksumZero,
      walSlotsCount: 32,
    },
    members: [],
    view: viewFrom(0),
    logView: viewFrom(0),
    viewHeaders: chain.slice(0, 1),
    commitMax: opFrom(0),
    checkpoint: {
      id: checksumZero,
      parentId: checksumZero,
      op: opFrom(0),
      opChecksum: checksumZero,
      root: checksumZero,
      manifestBytes: 0,
    },
    kept: [],
    quorumCheckpointOp: opFrom(0),
    recovering: false,
    voteFloor: viewFrom(0),
    faultyOps: [],
    slots: { first: 0, count: 4096, epoch: 1 },
    standing: freshStanding(0),
    ...changes,
  };
}

function clean(header: PrepareHeader): RecoveredSlot {
  return { op: header.op, state: "clean", header };
}

function upTo(head: number): RecoveredSlot[] {
  return chain.slice(0, head + 1).map(clean);
}

test("vsr: recovery: with log_view = view the higher of WAL and headers is the head", () => {
  const headers = [9, 8, 7, 6].map((op) => headerOf(op, 0));
  const block = superblock({ viewHeaders: headers, commitMax: opFrom(6) });
  const log = recoverLog({ superblock: block, slots: upTo(5) });
  assert.equal(log.head, 9);
  assert.equal(log.present(9), false);
  assert.equal(log.present(5), true);
  const later = recoverLog({ superblock: block, slots: upTo(12) });
  assert.equal(later.head, 12);
});

test("vsr: recovery: with log_view < view the stored headers are the whole log (A5a 2)", () => {
  const headers = [headerOf(7, 0), headerOf(5, 0)];
  const block = superblock({ view: viewFrom(2), viewHeaders: headers, commitMax: opFrom(5) });
  const log = recoverLog({ superblock: block, slots: upTo(10) });
  assert.equal(log.head, 7);
  assert.equal(log.header(6), null);
  assert.equal(log.header(8), null);
  assert.equal(log.present(5), true);
});

test("vsr: recovery: leftovers above the durable head of an older view are dropped", () => {
  const six = headerOf(6, 2, 0);
  const block = superblock({
    view: viewFrom(2),
    logView: viewFrom(2),
    viewHeaders: [six, headerOf(5, 0)],
    commitMax: opFrom(5),
  });
  const log = recoverLog({ superblock: block, slots: upTo(9) });
  assert.equal(log.head, 6);
  assert.equal(log.header(6)?.checksum, six.checksum);
  assert.equal(log.present(6), false);
  const own = recoverLog({ superblock: block, slots: [...upTo(5), clean(headerOf(7, 2))] });
  assert.equal(own.head, 7);
});

test("vsr: recovery: a fault on record stays one, though the slot now looks torn", () => {
  const block = superblock({ faultyOps: [opFrom(4)] });
  const slots = upTo(6).filter((slot) => slot.op !== 4);
  const log = recoverLog({ superblock: block, slots });
  assert.equal(log.slot(4).faulty, true);
  assert.equal(log.slot(5).faulty, false);
});

test("vsr: recovery: a fault that may be right of the head: uncertain (NATS #7587)", () => {
  const slots = upTo(10);
  const right: RecoveredSlot = { op: opFrom(11), state: "faulty", header: null };
  assert.equal(
    recoverLog({ superblock: superblock({}), slots: [...slots, right] }).headCertain,
    false,
  );
  const inside = slots.map((slot): RecoveredSlot => {
    return slot.op === 6 ? { ...slot, state: "faulty" } : slot;
  });
  assert.equal(recoverLog({ superblock: superblock({}), slots: inside }).headCertain, true);
});

test("vsr: recovery: a decayed slot of an old op: uncertain only close above the head", () => {
  const checkpoint = { ...superblock({}).checkpoint, op: opFrom(24) };
  const block = superblock({ checkpoint, commitMax: opFrom(24) });
  const slots = chain.slice(2, 31).map(clean);
  for (let op = 2; op <= 24; op += 1) {
    const decayed = slots.map((slot): RecoveredSlot => {
      return slot.op === op ? { ...slot, state: "faulty" } : slot;
    });
    const log = recoverLog({ superblock: block, slots: decayed });
    assert.equal(log.head, 30);
    // The head is 30: what stood one wrap above was named first, or lies within 16 of the head.
    assert.equal(log.headCertain, op + 32 > 30 + 16, `op ${op}`);
    assert.equal(log.slot(op).faulty, true);
  }
});
