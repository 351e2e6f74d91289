// An empty replica comes back over mTLS at the pace that it was given, and the shard serves
// meanwhile. The size that is asked for: npm run bench -- sync --fill 10240.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runShardSync } from "#test/bench/shard-sync.ts";

const fillMiB = 96;
const syncMiBPerS = 16;

test("state sync: an empty replica votes again at its pace, nobody is refused", async () => {
  const walSizeBytes = 32 * 1024 * 1024;
  const load = { links: 1, paceMs: 2, rate: 200, gate: false };
  const { json } = await runShardSync({ ...load, walSizeBytes, fillMiB, syncMiBPerS });
  const { syncSeconds, during } = json as {
    readonly syncSeconds: number;
    readonly during: Readonly<Record<"committed" | "rejected" | "unknown", number>>;
  };
  // The log's newest part comes by repair, outside the limit.
  assert.ok(syncSeconds > (0.6 * fillMiB) / syncMiBPerS, `${syncSeconds} s`);
  assert.ok(during.committed > 0);
  assert.deepEqual([during.rejected, during.unknown], [0, 0]);
});
