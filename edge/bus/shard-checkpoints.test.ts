import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpointKeptMs, ShardCheckpoints } from "./shard-checkpoints.ts";

test("bus: many rooms that want a checkpoint ask their shard once a second", async () => {
  const asked: string[] = [];
  const checkpoints = new ShardCheckpoints(async ({ room }) => {
    asked.push(room);
    if (room === "broken") throw new Error("no answer");
    return `note of ${room}`;
  });
  const of = (shard: string, room: string, nowMs: number) =>
    checkpoints.of(shard, { tenant: "", room }, nowMs);
  const rooms = Array.from({ length: 1_000 }, (_, i) => `r${i}`);
  const notes = await Promise.all(rooms.map((room) => of("a", room, 5)));
  assert.deepEqual([asked, new Set(notes)], [["r0"], new Set(["note of r0"])]);
  assert.equal(await of("b", "other", 5), "note of other");
  assert.equal(await of("a", "r7", 5 + checkpointKeptMs), "note of r7");
  assert.equal(await of("a", "broken", 5 + 2 * checkpointKeptMs), null);
});
