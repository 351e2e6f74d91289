// Prepares a second through the whole storage path on real files: AES-GCM, stamps, O_DSYNC, lazy
// identifiers. Run: node replica/storage/replica-storage.bench.ts [directory]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Prepare } from "#replica/wire/prepare.ts";
import { FileVolume } from "#test/support/file-volume.ts";
import { nextSuperblock, testPrepare } from "#test/support/test-volume.ts";
import type { ReplicaStorage } from "./replica-storage.ts";

const slotsCount = 512;
const prepares = 480;

function quantile(sorted: readonly number[], q: number): string {
  const ms = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return ms.toFixed(2);
}

/** Writes them with that many in flight; returns the latency of each, in ms. */
function run(storage: ReplicaStorage, made: readonly Prepare[], depth: number) {
  const latencies: number[] = [];
  return new Promise<readonly number[]>((resolve) => {
    let sent = 0;
    const next = (): void => {
      const prepare = made[sent];
      if (prepare === undefined) return;
      sent += 1;
      const startMs = performance.now();
      storage.writePrepare(prepare, () => {
        latencies.push(performance.now() - startMs);
        if (latencies.length === prepares) resolve(latencies);
        else next();
      });
    };
    for (let i = 0; i < depth; i += 1) next();
  });
}

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), "tigerchat-bench-"));
const volume = new FileVolume(directory);
const formatMs = performance.now();
await volume.format(slotsCount);
console.log(`format of 64 MiB: ${(performance.now() - formatMs).toFixed(0)} ms`);
const opened = await volume.open();
if (!opened.ok) throw new Error(opened.message);
const { storage } = opened;
let state = opened.recovered.superblock;
let first = 1;
console.log("body     depth   prepares/s   CPU us each   p50 ms   p99 ms");
for (const bytes of [1024, 16_384, 65_536]) {
  for (const depth of [1, 2, 4, 8]) {
    for (const warm of [true, false]) {
      const made = Array.from({ length: prepares }, (_, i) => testPrepare(first + i, { bytes }));
      const cpu = process.cpuUsage();
      const startMs = performance.now();
      const latencies = [...(await run(storage, made, depth))].sort((a, b) => a - b);
      const ms = performance.now() - startMs;
      const used = process.cpuUsage(cpu);
      first += prepares;
      state = nextSuperblock(state, { checkpointOp: first - 1 });
      await new Promise<void>((done) => storage.writeSuperblock(state, done));
      if (warm) continue;
      const each = (used.user + used.system) / prepares;
      const row = [bytes, depth, Math.round((prepares / ms) * 1000), Math.round(each)];
      row.push(Number(quantile(latencies, 0.5)), Number(quantile(latencies, 0.99)));
      console.log(row.map((cell) => String(cell).padStart(9)).join(" "));
    }
  }
}
await new Promise<void>((done) => storage.settle(done));
const reopenMs = performance.now();
const again = await volume.open();
console.log(
  `open, ${again.ok ? again.recovered.slots.length : 0} slots: `,
  performance.now() - reopenMs,
);
await volume.close();
rmSync(directory, { recursive: true });
