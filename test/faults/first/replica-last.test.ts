// Three real processes on loopback; two end first. Method: the primary is told to stop last.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";

/** A second for a peer that may come back, and the end of the process on a busy machine. */
const stopMsMax = 5_000;

test("faults: a primary whose peers stopped first stops too, handing over to nobody", async () => {
  const shard = await TestShard.start();
  try {
    const primary = await shard.waitForPrimary();
    const others = shard.replicas.filter((replica) => replica.index !== primary);
    await Promise.all(others.map((replica) => replica.signal("SIGTERM")));
    const startedMs = performance.now();
    strictEqual(await shard.replicas[primary]?.signal("SIGTERM"), 0);
    const tookMs = performance.now() - startedMs;
    ok(tookMs < stopMsMax, `stopped after ${tookMs.toFixed(0)} ms`);
  } finally {
    await shard.close();
  }
});
