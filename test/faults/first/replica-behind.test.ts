// A replica that was away until the ring wrapped: repair cannot help it, it fetches a checkpoint.
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";
import { judgeRoom, readRoom } from "./room-history.ts";
import { createRoom, Writer } from "./writer.ts";

const walSizeBytes = 32 * 1024 * 1024;
/** Slots of that ring. */
const walSlots = 256;

test("faults: a replica behind the whole ring fetches the state and may lead then", async () => {
  const shard = await TestShard.start({ walSizeBytes });
  try {
    const link = shard.link();
    await createRoom(link, "alpha");
    const writers = Array.from({ length: 8 }, (_, n) => new Writer(link, "alpha", `w${n}`));
    const [first] = writers;
    for (let i = 0; i < 20; i += 1) await first?.write();
    const primary = await shard.waitForPrimary();
    const away = (primary + 1) % 3;
    await shard.replicas[away]?.signal("SIGKILL");
    const before = (await shard.status(primary))?.commitMax ?? 0;
    const running = writers.map((writer) => writer.run());
    await shard.waitFor("the ring to wrap", 60_000, async () => {
      const status = await shard.status(await shard.waitForPrimary());
      return (status?.checkpointOp ?? 0) > before + 2 * walSlots ? true : null;
    });
    shard.replicas[away]?.start();
    const status = await shard.waitForCaughtUp(away, 60_000);
    ok((status.checkpointOp ?? 0) > before + walSlots, "it came back by a checkpoint");
    for (const writer of writers) writer.stop();
    await Promise.all(running);
    const leader = await shard.waitForPrimary();
    const other = 3 - leader - away;
    if (leader !== away) await shard.replicas[leader]?.signal("SIGKILL");
    else await shard.replicas[other]?.signal("SIGKILL");
    judgeRoom(await readRoom(link, "alpha"), writers);
    await first?.write();
    judgeRoom(await readRoom(link, "alpha"), writers);
  } finally {
    await shard.close();
  }
});
