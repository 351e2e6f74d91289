// Three real processes on loopback; their primary dies by kill -9 under load. Method: writers keep
// what was acknowledged, then every room is read whole and judged against it.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";
import { judgeRoom, longestGapMs, readRoom } from "./room-history.ts";
import { createRoom, Writer } from "./writer.ts";

const rooms = ["alpha", "beta"];
const writersPerRoom = 4;
const kills = 3;
/** Generous: the machine may be busy. The bench measures the gap, this test only bounds it. */
const gapMsMax = 5_000;

test("faults: kill -9 of the primary loses, doubles, reorders nothing acknowledged", async () => {
  const shard = await TestShard.start();
  try {
    const link = shard.link();
    for (const room of rooms) await createRoom(link, room);
    const writers = rooms.map((room) =>
      Array.from({ length: writersPerRoom }, (_, n) => new Writer(link, room, `${room}-${n}`)),
    );
    const running = writers.flat().map((writer) => writer.run());
    for (let kill = 0; kill < kills; kill += 1) {
      const primary = await shard.waitForPrimary();
      await new Promise((resolve) => setTimeout(resolve, 400));
      await shard.replicas[primary]?.signal("SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 600));
      shard.replicas[primary]?.start();
      await shard.waitForCaughtUp(primary);
    }
    for (const writer of writers.flat()) writer.stop();
    await Promise.all(running);
    for (const [index, room] of rooms.entries()) {
      judgeRoom(await readRoom(link, room), writers[index] ?? []);
    }
    const gapMs = longestGapMs(writers.flat());
    ok(gapMs < gapMsMax, `nothing was acknowledged for ${gapMs.toFixed(0)} ms`);
    const written = writers.flat().reduce((sum, one) => sum + one.acknowledged.length, 0);
    ok(written > 200, `only ${written} messages were acknowledged`);
  } finally {
    await shard.close();
  }
});

test("faults: all three killed at once come back with everything acknowledged", async () => {
  const shard = await TestShard.start();
  try {
    const link = shard.link();
    await createRoom(link, "alpha");
    const writer = new Writer(link, "alpha", "one");
    for (let i = 0; i < 100; i += 1) await writer.write();
    await Promise.all(shard.replicas.map((replica) => replica.signal("SIGKILL")));
    for (const replica of shard.replicas) replica.start();
    await shard.waitForPrimary();
    for (let i = 0; i < 10; i += 1) await writer.write();
    judgeRoom(await readRoom(link, "alpha"), [writer]);
  } finally {
    await shard.close();
  }
});

test("faults: SIGTERM gives the primary away first and exits 0", async () => {
  const shard = await TestShard.start();
  try {
    const link = shard.link();
    await createRoom(link, "alpha");
    const writer = new Writer(link, "alpha", "one");
    const running = writer.run();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const primary = await shard.waitForPrimary();
    strictEqual(await shard.replicas[primary]?.signal("SIGTERM"), 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    writer.stop();
    await running;
    judgeRoom(await readRoom(link, "alpha"), [writer]);
  } finally {
    await shard.close();
  }
});
