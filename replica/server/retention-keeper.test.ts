// The keeper over a real machine and its segments: it asks for exactly what retention lets go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryShard } from "#test/support/memory-shard.ts";
import type { Operation } from "#test/support/prepares.ts";
import { createRoom, post, prepareOf, requestOf, requestOfBody } from "#test/support/prepares.ts";
import { retain, uuidv7 } from "#test/support/prepares.ts";
import { readResult } from "#replica/wire/operation.ts";
import { RetentionKeeper } from "./retention-keeper.ts";

const startMs = 1_800_000_000_000;
const hourMs = 3_600_000;
const genesis = {
  version: 2,
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 1, max: 100_000 },
  roomsMax: 100,
  seed: new Uint8Array(16).fill(3),
};

test("retention keeper: asks for what is old or too much, and nothing else", async () => {
  const shard = new MemoryShard(genesis, { cacheBytes: 0, chunkBytes: 32 * 1024 });
  let timeMs = startMs;
  const commit = (operations: readonly Operation[]): void => {
    timeMs += 1;
    shard.commit(prepareOf(shard.machine.op + 1, timeMs * 1000, [requestOf(operations)]));
  };
  const rooms = ["aged", "counted", "kept", "held", "weighed"];
  commit(rooms.map((room) => createRoom(room)));
  const say = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      commit(
        rooms.map((room) => post({ room, sender: "ann", key: uuidv7(timeMs, i), body: "said" })),
      );
    }
  };
  say(30);
  shard.checkpoint();
  shard.restart();
  timeMs += 3 * hourMs;
  say(10);
  let leads = false;
  const asked: string[] = [];
  let trimmed = 0;
  const keeper = new RetentionKeeper({
    roundMs: 30_000,
    machine: {
      retention: (room) => shard.machine.retention(room),
      read: (name, range, loaded) => shard.machine.read(name, range, loaded),
    },
    leads: () => leads,
    load: (addresses, done) => done(shard.load(addresses)),
    submit: (operations, count, done) => {
      timeMs += 1;
      const request = requestOfBody(operations, count);
      const [reply] = shard.commit(prepareOf(shard.machine.op + 1, timeMs * 1000, [request]));
      for (let i = 0; i < count; i += 1) {
        const result = readResult(reply ?? new Uint8Array(0), i);
        asked.push(`${result?.code} ${result?.seq}`);
      }
      done(count);
      return true;
    },
    trimmed: (count) => {
      trimmed += count;
    },
  });
  assert.ok(await keeper.look(timeMs * 1000), "without any retention there is nothing to look at");
  commit([retain({ room: "aged", version: 1, ageSeconds: 7200 })]);
  commit([retain({ room: "counted", version: 1, entries: 25 })]);
  commit([retain({ room: "held", version: 1, entries: 1, hold: true })]);
  leads = true;
  assert.ok(await keeper.look(timeMs * 1000));
  commit([retain({ room: "weighed", version: 1, bytes: 20 * 65 })]);
  assert.ok(await keeper.look(timeMs * 1000));
  assert.deepEqual(asked, ["ok 31", "ok 16", "ok 21"]);
  assert.equal(trimmed, 3);
  assert.ok(await keeper.look(timeMs * 1000));
  assert.equal(asked.length, 3, "nothing is asked for twice");
  commit([retain({ room: "", version: 1, entries: 3 })]);
  assert.ok(await keeper.look(timeMs * 1000));
  assert.deepEqual(asked.slice(3), ["ok 31", "ok 31"], "young entries stay, whatever the number");
});
