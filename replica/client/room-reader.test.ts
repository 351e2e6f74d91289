// Goal: reads and watches are answered or given up in time, and watches follow the primary.
// Method: frames and times by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom, seqFrom } from "#replica/base/brands.ts";
import type { RoomAnswer } from "#replica/wire/client-message.ts";
import { type ReaderEffect, RoomReader } from "./room-reader.ts";

const name = { tenant: "t", room: "r" };
const range = { kind: "after", seq: seqFrom(0), limit: 10 } as const;
const good: RoomAnswer = { code: "ok", epoch: 1, head: seqFrom(4), floor: seqFrom(1) };
const none = new Uint8Array(0);
const [first, second] = [replicaFrom(0), replicaFrom(1)];

function reader(): RoomReader {
  return new RoomReader({ deadlineMs: 1000, resendMs: 200 });
}

/** What was sent and told, in one line each. */
function lines(effects: readonly ReaderEffect[]): readonly string[] {
  return effects.map((effect) => {
    if (effect.kind === "send") return `${effect.message.kind} to ${effect.to}`;
    if (effect.kind === "read") return `read ${effect.id} ${effect.outcome.kind}`;
    if (effect.kind === "watched") return `watched ${effect.id} ${effect.answer.code}`;
    return "entries";
  });
}

function askedId(effects: readonly ReaderEffect[]): number {
  const [effect] = effects;
  assert(effect?.kind === "send" && "id" in effect.message);
  return effect.message.id;
}

test("client: a read waits for a replica, is asked again, ends at its deadline", () => {
  const r = reader();
  const id = r.read(name, range, 0);
  assert.deepEqual(lines(r.drain()), []);
  r.onReplicas(null, second, null, 10);
  assert.deepEqual(lines(r.drain()), ["read to 1"]);
  r.onReplicas(first, first, second, 20);
  assert.deepEqual(lines(r.drain()), ["read to 0"]);
  const busy = { code: "busy" } as const;
  r.onMessage(first, { kind: "read_reply", id, answer: busy, entries: none }, 30);
  assert.equal(r.wakeAtMs, 80);
  r.tick(80);
  assert.deepEqual(lines(r.drain()), ["read to 0"]);
  r.tick(1000);
  assert.deepEqual(lines(r.drain()), [`read ${id} unavailable`]);
  r.onMessage(first, { kind: "read_reply", id, answer: good, entries: none }, 1001);
  assert.deepEqual(lines(r.drain()), []);
});

test("client: a watch is answered to its callers once, and anew to its owner after a move", () => {
  const r = reader();
  r.onReplicas(first, first, null, 0);
  const calls = [r.watch(name, 0), r.watch(name, 0)];
  const asked = r.drain();
  assert.deepEqual(lines(asked), ["watch to 0"]);
  r.onMessage(first, { kind: "watched", id: askedId(asked), answer: good }, 5);
  assert.deepEqual(
    lines(r.drain()),
    calls.map((id) => `watched ${id} ok`),
  );
  r.onMessage(first, { kind: "entries", name, entries: none }, 6);
  r.onMessage(second, { kind: "entries", name, entries: none }, 6);
  assert.deepEqual(lines(r.drain()), ["entries"]);
  r.onReplicas(null, null, first, 10);
  r.onReplicas(second, second, null, 20);
  const again = r.drain();
  assert.deepEqual(lines(again), ["watch to 1"]);
  r.onMessage(second, { kind: "watched", id: askedId(asked), answer: good }, 25);
  r.onMessage(second, { kind: "watched", id: askedId(again), answer: good }, 25);
  assert.deepEqual(lines(r.drain()), ["watched null ok"]);
});

test("client: a watch that is lost is asked again; moved and no_room end it", () => {
  const r = reader();
  r.onReplicas(first, first, null, 0);
  const id = r.watch(name, 0);
  r.drain();
  r.tick(200);
  const again = r.drain();
  assert.deepEqual(lines(again), ["watch to 0"]);
  const moved = { code: "moved", slot: 1, shard: "attic", epoch: 2 } as const;
  r.onMessage(first, { kind: "watched", id: askedId(again), answer: moved }, 210);
  assert.deepEqual(lines(r.drain()), [`watched ${id} moved`]);
  assert.equal(r.watchesCount, 0);
  const late = r.watch(name, 300);
  r.drain();
  r.tick(1300);
  assert.deepEqual(lines(r.drain()), [`watched ${late} not_ready`, "watch to 0"]);
  assert.equal(r.watchesCount, 1);
  r.unwatch(name);
  assert.deepEqual(lines(r.drain()), ["unwatch to 0"]);
  assert.equal(r.watchesCount, 0);
});
