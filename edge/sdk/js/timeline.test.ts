// The order of a room against a stream that loses, repeats and reorders, and reads that fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { lostError } from "./chat-error.ts";
import { Timeline } from "./timeline.ts";
import type { ChatEntry } from "./types.ts";

function entryAt(seq: number): ChatEntry {
  const key = "019ae0c4-5b1c-7a31-8f0e-3d2c1b0a9f8e";
  return {
    seq,
    timeUs: seq,
    type: "msg",
    from: "ann",
    key,
    parent: null,
    body: "",
    bodyBase64: null,
    redacted: false,
    only: null,
  };
}

/** A room of `head` entries of which those below `floor` are gone. */
class Room {
  head: number;
  floor = 1;
  fails = 0;
  /** Entries that this viewer may not see. */
  readonly hidden = new Set<number>();
  readonly given: number[] = [];
  readonly gaps: { from: number; to: number }[] = [];
  readonly resets: number[] = [];
  readonly timeline: Timeline;
  private later: (() => void)[] = [];

  constructor(head: number, position: { epoch: number; seq: number } | null) {
    this.head = head;
    this.timeline = new Timeline(
      {
        read: async (after) => {
          this.fails -= 1;
          if (this.fails >= 0) throw lostError();
          const first = Math.max(after + 1, this.floor);
          const count = Math.max(0, Math.min(3, this.head - first + 1));
          const seqs = Array.from({ length: count }, (_, index) => first + index);
          const entries = seqs.filter((seq) => !this.hidden.has(seq)).map(entryAt);
          const skips = seqs
            .filter((seq) => this.hidden.has(seq))
            .map((seq) => ({ from: seq, to: seq }));
          return { entries, skips, epoch: 1, head: this.head, floor: this.floor };
        },
        deliver: (entry) => this.given.push(entry.seq),
        gap: (gap) => this.gaps.push(gap),
        reset: ({ next }) => this.resets.push(next),
        later: (_delayMs, call) => this.later.push(call),
      },
      position,
    );
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 200; round += 1) {
      for (const call of this.later.splice(0)) call();
      for (let i = 0; i < 5; i += 1) await Promise.resolve();
    }
  }
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

test("sdk: whatever is lost, doubled or early, each entry is given once in order", () => {
  const arrivals = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 80 });
  return fc.assert(
    fc.asyncProperty(arrivals, fc.nat(3), async (seqs, fails) => {
      const room = new Room(40, { epoch: 1, seq: 0 });
      room.fails = fails;
      room.timeline.attached({ epoch: 1, floor: 1, next: 1 });
      for (const seq of seqs) {
        room.timeline.entry(entryAt(seq));
        if (seq % 7 === 0) await Promise.resolve();
      }
      room.timeline.head(40);
      await room.settle();
      assert.deepEqual(room.given, upTo(1, 40));
    }),
    { numRuns: 100 },
  );
});

test("sdk: an attach that was not recovered is completed by reading first", async () => {
  const room = new Room(20, { epoch: 1, seq: 5 });
  room.timeline.attached({ epoch: 1, floor: 1, next: 18 });
  room.timeline.entry(entryAt(18));
  room.timeline.entry(entryAt(19));
  await room.settle();
  assert.deepEqual(room.given, upTo(6, 19));
  assert.deepEqual(room.gaps, [{ from: 6, to: 17 }]);
  assert.deepEqual(room.resets, []);
});

test("sdk: another epoch, or a floor above the position, resets", () => {
  for (const [epoch, floor] of [
    [2, 1],
    [1, 10],
  ] as const) {
    const room = new Room(20, { epoch: 1, seq: 5 });
    room.timeline.attached({ epoch, floor, next: 15 });
    room.timeline.entry(entryAt(15));
    assert.deepEqual([room.resets, room.given], [[15], [15]]);
    assert.deepEqual(room.timeline.position, { epoch, seq: 15 });
  }
});

test("sdk: a gap is read, a skip is passed, a head that is reached asks for nothing", async () => {
  const room = new Room(12, null);
  room.timeline.attached({ epoch: 1, floor: 1, next: 1 });
  for (const seq of upTo(1, 4)) room.timeline.entry(entryAt(seq));
  room.timeline.gap(5, 9);
  room.timeline.entry(entryAt(10));
  await room.settle();
  assert.deepEqual(room.given, upTo(1, 10));
  room.timeline.skip(11);
  room.timeline.entry(entryAt(12));
  room.timeline.head(12);
  await room.settle();
  assert.deepEqual(room.given, [...upTo(1, 10), 12]);
  assert.equal(room.gaps.length, 1);
});

test("sdk: answers of an earlier connection change nothing", async () => {
  const room = new Room(30, { epoch: 1, seq: 0 });
  room.timeline.attached({ epoch: 1, floor: 1, next: 10 });
  room.timeline.detached();
  room.timeline.entry(entryAt(1));
  await room.settle();
  assert.deepEqual(room.given, []);
  room.timeline.attached({ epoch: 1, floor: 1, next: 31 });
  await room.settle();
  assert.deepEqual(room.given, upTo(1, 30));
});

test("sdk: hidden entries of a page are passed, and what follows is given", async () => {
  const room = new Room(9, { epoch: 1, seq: 0 });
  for (const seq of [1, 4, 5, 9]) room.hidden.add(seq);
  room.timeline.attached({ epoch: 1, floor: 1, next: 10 });
  await room.settle();
  assert.deepEqual(room.given, [2, 3, 6, 7, 8]);
  assert.equal(room.timeline.position?.seq, 9);
});
