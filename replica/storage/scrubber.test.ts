// Goal: damage of what nobody reads is found, mended or named, and nothing sound is touched.
// Method: the production storage on a disk in memory; one byte flipped in each kind of place.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { sectorOffset } from "#replica/journal/geometry.ts";
import { superblockCopyBytes } from "#replica/journal/superblock-copies.ts";
import { smallGeometry, nextSuperblock, testPrepare } from "#test/support/test-volume.ts";
import { TestReplica } from "#test/support/test-replica.ts";
import { ScrubPace } from "./scrub-pace.ts";
import { ScrubRound, type ScrubTarget } from "./scrub-round.ts";
import { roundPauseMs, Scrubber, type SlotFault } from "./scrubber.ts";

const prepares = [1, 2, 3, 4].map((op) => testPrepare(op, { bytes: op * 2000 }));
const blocks = [3000, 70, 9000].map((length) => new Uint8Array(length).fill(length & 0xff));

/** A volume with a superblock of its own, four prepares and a segment. */
function volume(): TestReplica {
  const replica = TestReplica.format();
  replica.writeAll(prepares);
  const state = nextSuperblock(replica.recovered.superblock, { view: 1 });
  replica.storage.writeSuperblock(state, () => undefined);
  replica.storage.writeSegment("log-7", blocks, () => undefined);
  replica.disk.settle();
  return replica;
}

/** Runs rounds until `count` are over; what was named and what was read of segments. */
function scrub(replica: TestReplica, count = 1) {
  let nowMs = 0;
  const faults: SlotFault[] = [];
  const damaged: string[] = [];
  const { storage } = replica;
  const scrubber = new Scrubber(
    {
      storage,
      nowMs: () => nowMs,
      readBlock: (id, block, done) => {
        storage.readBlock(id, block, (bytes) => {
          if (bytes === null) damaged.push(`${id}/${block}`);
          done({ bytes: bytes?.length ?? 0, faults: bytes === null ? 1 : 0 });
        });
      },
      slotFault: (fault) => faults.push(fault),
    },
    1e6,
  );
  for (let slice = 0; slice < 1000 && scrubber.counts.rounds < count; slice += 1) {
    nowMs = scrubber.deadlineMs;
    let over = false;
    scrubber.tick(() => {
      over = true;
    });
    replica.disk.settle();
    ok(over, "a slice ends");
  }
  strictEqual(scrubber.counts.rounds, count);
  return { ops: faults.map((fault) => fault.op), damaged, counts: scrubber.counts, nowMs };
}

const sound = { superblock: 0, identifiers: 0, prepares: 0, segments: 0 };

test("scrub: a pace gives bytes a second and saves nothing up", () => {
  const pace = new ScrubPace(1000, 50);
  strictEqual(pace.dueMs, 50);
  pace.spent(100, 50);
  strictEqual(pace.dueMs, 150);
  pace.spent(100, 60);
  strictEqual(pace.dueMs, 250);
  pace.spent(500, 100_000);
  strictEqual(pace.dueMs, 100_500);
});

test("scrub: a round looks at every place once, in order", () => {
  const round = new ScrubRound({ copies: 2, sectors: 1, slots: 2 });
  const seen: string[] = [];
  const name = (target: ScrubTarget): string => Object.values(target).join(" ");
  for (let i = 0; i < 100 && round.target !== null; i += 1) {
    const { target } = round;
    seen.push(name(target));
    if (target.kind === "list") round.segments(["a", "b"]);
    else round.done(target.kind === "segment" && target.id === "a" ? 2 : 0);
  }
  deepStrictEqual(seen, [
    ...["superblock 0", "superblock 1", "sector 0", "slot 0", "slot 1", "list"],
    ...["segment a -1", "segment a 0", "segment a 1", "segment b -1"],
  ]);
});

test("scrub: a sound volume is read and left as it is", () => {
  const replica = volume();
  const before = replica.disk.snapshot();
  const found = scrub(replica, 2);
  deepStrictEqual([found.ops, found.damaged, found.counts.faults], [[], [], sound]);
  deepStrictEqual(replica.disk.snapshot(), before);
  ok(found.counts.bytes > 2 * 4 * superblockCopyBytes);
  // The last small slices of a round may go 50 ms ahead of the pace.
  ok(found.nowMs >= roundPauseMs + found.counts.bytes / 1000 - 50, "the pace was kept");
});

test("scrub: each copy of the superblock is written again byte for byte", () => {
  for (const reopened of [false, true]) {
    for (let copy = 0; copy < 4; copy += 1) {
      const replica = reopened ? volume().clone() : volume();
      const before = replica.disk.snapshot();
      for (const at of [0, 40, 300, 9000]) {
        replica.flip("superblock", copy * superblockCopyBytes + at);
        deepStrictEqual(scrub(replica).counts.faults, { ...sound, superblock: 1 });
        deepStrictEqual(replica.disk.snapshot(), before, `copy ${copy}, byte ${at}`);
      }
    }
  }
});

test("scrub: a superblock written while one is looked at comes after it and stands", () => {
  const replica = volume();
  replica.flip("superblock", 100);
  const state = nextSuperblock(nextSuperblock(replica.recovered.superblock, { view: 1 }), {
    view: 2,
  });
  let [durable, looked] = [false, false];
  replica.storage.scrubSuperblock(0, () => {
    looked = true;
  });
  replica.storage.writeSuperblock(state, () => {
    durable = true;
  });
  replica.disk.settle();
  ok(durable && looked);
  strictEqual(replica.clone().recovered.superblock.view, 2);
  deepStrictEqual(scrub(replica).counts.faults, sound);
});

test("scrub: a damaged sector of identifiers is written again, whichever copy it is", () => {
  for (const copies of [[0], [1], [0, 1]] as const) {
    const replica = volume();
    // Both copies exist once a sector was written twice.
    replica.writeAll([testPrepare(5), testPrepare(6)]);
    const entries = replica.clone().recovered.slots;
    for (const copy of copies) {
      replica.flip("identifiers", sectorOffset(0, copy, smallGeometry) + 50);
    }
    ok(scrub(replica, 1).counts.faults.identifiers >= 1);
    deepStrictEqual(scrub(replica, 1).counts.faults, sound, `copies ${copies.join()}`);
    deepStrictEqual(replica.clone().recovered.slots, entries);
  }
});

test("scrub: a damaged slot is named and marked; the repair makes it whole", () => {
  for (const [index, prepare] of prepares.entries()) {
    const replica = volume();
    const at = (index + 1) * smallGeometry.slotBytes + 500;
    replica.flip("prepares", at);
    const found = scrub(replica);
    deepStrictEqual([found.ops, found.counts.faults.prepares], [[prepare.header.op], 1]);
    const again = replica.clone().recovered.slots.find((slot) => slot.op === prepare.header.op);
    strictEqual(again?.state, "faulty");
    deepStrictEqual(scrub(replica).ops, [], "it is named once");
    replica.writeAll([prepare]);
    deepStrictEqual(scrub(replica).counts.faults, sound);
    strictEqual(replica.clone().recovered.slots[index + 1]?.state, "clean");
  }
});

test("scrub: empty slots cost no turn, slots that a checkpoint has reached are read", () => {
  const replica = volume();
  const held = Array.from({ length: smallGeometry.slotsCount }, (_, slot) => slot).filter((slot) =>
    replica.storage.holdsPrepare(slot),
  );
  deepStrictEqual(held, [0, ...prepares.map(({ header }) => Number(header.op))]);
  const { superblock } = replica.recovered;
  const state = nextSuperblock(nextSuperblock(superblock, { view: 1 }), { checkpointOp: 1 });
  replica.storage.writeSuperblock(state, () => undefined);
  replica.disk.settle();
  replica.flip("prepares", smallGeometry.slotBytes + 500);
  deepStrictEqual(scrub(replica).ops, [1]);
});

test("scrub: small slices go together, and the pace is kept over them", () => {
  const pace = new ScrubPace(1_000_000, 0);
  let nowMs = 0;
  let wakes = 0;
  for (let slice = 0; slice < 1_000; slice += 1) {
    if (pace.dueMs > nowMs) wakes += 1;
    nowMs = Math.max(nowMs, pace.dueMs);
    pace.spent(4_096, nowMs);
  }
  ok(nowMs > 4_000 && nowMs < 4_100, String(nowMs));
  ok(wakes < 90, String(wakes));
});

test("scrub: a segment's tables are mended, its damaged blocks are asked for", () => {
  const replica = volume();
  const before = replica.disk.snapshot();
  for (const at of [20, 4096 + 20]) {
    replica.flip("segments/log-7", at);
    deepStrictEqual(scrub(replica).counts.faults, { ...sound, segments: 1 });
    deepStrictEqual(replica.disk.snapshot(), before);
  }
  replica.flip("segments/log-7", 8192 + 64 + 3000 + 70);
  const found = scrub(replica);
  deepStrictEqual([found.damaged, found.counts.faults.segments], [["log-7/1"], 1]);
});
