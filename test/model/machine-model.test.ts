// Random histories through the machine and through the model; checkpoints, restarts and merges in
// between must be invisible. Same seeds, same histories: fast-check prints the failing one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seqFrom } from "#replica/base/brands.ts";
import { decodeEntries } from "#replica/wire/entry.ts";
import type { EntryType } from "#replica/wire/entry.ts";
import { readResult } from "#replica/wire/operation.ts";
import { MemoryShard } from "#test/support/memory-shard.ts";
import type { Operation } from "#test/support/prepares.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { ModelOperation } from "./machine-model.ts";
import { MachineModel } from "./machine-model.ts";

const hourMs = 3_600_000;
const startMs = 1_800_000_000_000;
const rules = { windowHours: 24, keysMax: 60, roomsMax: 4 };
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: rules.windowHours, max: rules.keysMax },
  roomsMax: rules.roomsMax,
  seed: Uint8Array.from({ length: 16 }, (_, i) => i),
};

const roomName = fc.constantFrom("a", "a", "b", "b", "ünïcode", "d", "e");
const draftPost = fc.record({
  kind: fc.constant("post" as const),
  room: roomName,
  sender: fc.constantFrom("ann", "bob"),
  ageMs: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 1, 2, 1000) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(24 * hourMs, 24 * hourMs + 1, 23 * hourMs, -300_000, -300_001),
    },
  ),
  tail: fc.nat(3),
  type: fc.constantFrom<EntryType>("message", "message", "message", "message", "edit"),
  parent: fc.constantFrom(0, 0, 0, 1, 2, 9),
  body: fc.constantFrom("", "hello", "x".repeat(900), "y".repeat(16_000), "héllo"),
});
const draft = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("create_room" as const), room: roomName }),
  },
  { weight: 6, arbitrary: draftPost },
  {
    weight: 3,
    // An earlier post again: as it was, or with the same key and something else changed.
    arbitrary: fc.record({
      kind: fc.constant("retry" as const),
      back: fc.nat(40),
      change: fc.constantFrom("", "", "", "body", "parent", "sender", "room"),
    }),
  },
);
type Draft = typeof draft extends fc.Arbitrary<infer T> ? T : never;
const stepMs = fc.constantFrom(0, 0, 0, 0, 1, 1, 1, 1, 1, 50, 50, 1000, 1000, hourMs, 23 * hourMs);
const event = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      stepMs,
      requests: fc.array(fc.array(draft, { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "checkpoint" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "restart" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "noop" as const }) },
);

/** What the histories must have met, or they prove little. */
const outcomes = [
  ...["ok", "dup", "room_exists", "no_room", "key_mismatch", "key_too_old", "key_in_future"],
  ...["busy", "bad_operation", "needs blocks", "restart"],
];

type ModelPost = Extract<ModelOperation, { kind: "post" }>;

function toModel(timeUs: number, from: Draft, posts: ModelPost[]): ModelOperation {
  if (from.kind === "create_room") return from;
  if (from.kind === "retry") {
    const old = posts[Math.max(0, posts.length - 1 - from.back)];
    if (old === undefined) return { kind: "create_room", room: "a" };
    if (from.change === "body") return { ...old, body: `${old.body.slice(1)}!` };
    if (from.change === "parent") return { ...old, parent: old.parent === 0 ? 1 : 0 };
    if (from.change === "sender") return { ...old, sender: old.sender === "ann" ? "bob" : "ann" };
    return from.change === "room" ? { ...old, room: old.room === "a" ? "b" : "a" } : old;
  }
  const { room, sender, ageMs, tail: keyTail, type, parent, body } = from;
  const keyMs = Math.floor(timeUs / 1000) - ageMs;
  const made: ModelPost = { kind: "post", room, sender, keyMs, keyTail, type, parent, body };
  posts.push(made);
  return made;
}

function toMachine(operation: ModelOperation): Operation {
  if (operation.kind === "create_room") return createRoom(operation.room);
  const { room, sender, keyMs, keyTail, parent, body } = operation;
  const type = operation.type as EntryType;
  // Another salt with each attempt, as from another edge.
  const salt = Uint8Array.from({ length: 16 }, (_, i) => (keyTail * 31 + i + parent) & 255);
  return post({ room, sender, key: uuidv7(keyMs, keyTail), type, parent, body, salt });
}

function readAll(shard: MemoryShard, room: string, limit: number): unknown[] {
  const all: unknown[] = [];
  for (let seq = 0; ; ) {
    const range = { kind: "after" as const, seq: seqFrom(seq), limit };
    const { answer, entries } = shard.read({ tenant: "t", room }, range);
    assert.equal(answer.code, "ok");
    const decoded = decodeEntries(entries, 200);
    assert.ok(decoded);
    if (decoded.length === 0) return all;
    for (const entry of decoded) {
      const { timeUs, sender, type, parent } = entry;
      assert.equal(entry.seq, seq + 1);
      seq = entry.seq;
      all.push({ seq, timeUs, sender, type, parent, body: textFromUtf8(entry.body) });
    }
  }
}

function compareRooms(shard: MemoryShard, model: MachineModel): void {
  for (const [room, entries] of model.rooms) assert.deepEqual(readAll(shard, room, 7), entries);
  assert.equal(shard.machine.roomsCount, model.rooms.size);
  assert.equal(shard.machine.keysCount, model.keysCount);
}

test("machine: random histories agree with the model through checkpoints and restarts", () => {
  const seen = new Map<string, number>();
  const count = (what: string): unknown => seen.set(what, (seen.get(what) ?? 0) + 1);
  fc.assert(
    fc.property(fc.array(event, { minLength: 10, maxLength: 60, size: "max" }), (events) => {
      const options = { cacheBytes: 0, chunkBytes: 32 * 1024 };
      const shard = new MemoryShard(genesis, options);
      const twin = new MemoryShard(genesis, { cacheBytes: 1024 * 1024 }, 1024);
      const model = new MachineModel(rules);
      let timeUs = startMs * 1000;
      let safe = 0;
      const posts: ModelPost[] = [];
      for (const happening of events) {
        if (happening.kind === "checkpoint") {
          if (safe === shard.machine.op) continue;
          shard.checkpoint(Uint8Array.of(1, 2, 3));
          twin.checkpoint(Uint8Array.of(1, 2, 3));
          assert.equal(shard.root, twin.root, "two replicas make the same manifest");
          safe = shard.machine.op;
          continue;
        }
        if (happening.kind === "restart") {
          if (safe !== shard.machine.op) {
            shard.checkpoint();
            twin.checkpoint();
            safe = shard.machine.op;
          }
          shard.restart();
          count("restart");
          assert.equal(shard.machine.op, safe);
          continue;
        }
        timeUs += 1;
        const op = shard.machine.op + 1;
        if (happening.kind === "noop") {
          model.advance(timeUs);
          const prepare = prepareOf(op, timeUs, [], "noop");
          assert.deepEqual(shard.commit(prepare), []);
          twin.commit(prepare);
          continue;
        }
        timeUs += happening.stepMs * 1000;
        model.advance(timeUs);
        const wanted = happening.requests.map((r) => r.map((d) => toModel(timeUs, d, posts)));
        const requests = wanted.map((r) => requestOf(r.map(toMachine)));
        const prepare = prepareOf(op, timeUs, requests);
        if (shard.machine.needs(prepare).length > 0) count("needs blocks");
        const replies = shard.commit(prepare);
        assert.deepEqual(twin.commit(prepare), replies);
        wanted.forEach((operations, r) => {
          operations.forEach((operation, index) => {
            const expected = model.apply(operation);
            const result = readResult(replies[r] ?? new Uint8Array(0), index);
            assert.ok(result);
            const { code, dup, seq, timeUs: at } = result;
            count(dup ? "dup" : code);
            assert.deepEqual({ code, dup, seq, timeUs: at }, expected);
          });
        });
      }
      compareRooms(shard, model);
      if (safe !== shard.machine.op) shard.checkpoint();
      shard.restart();
      compareRooms(shard, model);
    }),
    { numRuns: 100, seed: 20_260_101 },
  );
  for (const what of outcomes) assert.ok((seen.get(what) ?? 0) > 0, `never happened: ${what}`);
});
