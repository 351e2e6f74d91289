// What one slice of scrubbing costs: CPU of the process, and how long the event loop stands still.
// Real files, real keys, the largest slots. Run: node replica/storage/scrubber.bench.ts [directory]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileVolume } from "#test/support/file-volume.ts";
import { testPrepare } from "#test/support/test-volume.ts";
import type { ReplicaStorage } from "./replica-storage.ts";

const slotsCount = 256;
const bodyBytes = 120_000;
const rounds = 4;

function scrub(storage: ReplicaStorage, slot: number): Promise<number> {
  return new Promise((resolve) => {
    storage.scrubSlot(slot, (finding) => resolve(finding.bytes));
  });
}

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), "tigerchat-bench-"));
const volume = new FileVolume(directory);
await volume.format(slotsCount);
const opened = await volume.open();
if (!opened.ok) throw new Error(opened.message);
const { storage } = opened;
for (let op = 1; op < slotsCount; op += 1) {
  const prepare = testPrepare(op, { bytes: bodyBytes });
  await new Promise<void>((done) => storage.writePrepare(prepare, done));
}
let [slices, bytes, longestMs] = [0, 0, 0];
let lastMs = performance.now();
// A turn that comes late was held up: by the check of a slice, the only thing that runs here.
const ticking = setInterval(() => {
  const nowMs = performance.now();
  longestMs = Math.max(longestMs, nowMs - lastMs - 1);
  lastMs = nowMs;
}, 1);
const cpu = process.cpuUsage();
for (let slot = 1; slot < slotsCount * rounds; slot += 1) {
  bytes += await scrub(storage, slot % slotsCount);
  slices += 1;
}
const used = process.cpuUsage(cpu);
clearInterval(ticking);
const each = (used.user + used.system) / slices / 1000;
console.log(`slices ${slices}, bytes each ${Math.round(bytes / slices)}`);
console.log(`CPU a slice ${each.toFixed(2)} ms, latest turn ${longestMs.toFixed(2)} ms late`);
await volume.close();
rmSync(directory, { recursive: true });
