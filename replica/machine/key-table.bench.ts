// Remembered keys at scale: bytes a key by the table's own count and by the process, time of an
// addition and a look-up, the longest turn, and how often a new key would read the disk. Arguments:
// millions of keys (10), keys a second of log time (1200; 100000 = all in a few spans).
import { performance } from "node:perf_hooks";
import { KeyTable } from "./key-table.ts";

const millions = Number(process.argv[2] ?? 10);
const perSecond = Number(process.argv[3] ?? 1200);
const count = millions * 1_000_000;
const perTurn = 400;
const startMs = 1_800_000_000_000;
const table = new KeyTable();
const hash = new Int32Array(2);
let state = 12345;

/** Xorshift: hashes without a library's cost in the figures. */
function random(): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state;
}

const before = process.memoryUsage();
let slowestMs = 0;
let longTurns = 0;
let peakBytes = 0;
const cpu = process.threadCpuUsage();
for (let made = 0; made < count; ) {
  const at = performance.now();
  for (let i = 0; i < perTurn; i += 1) {
    hash[0] = random();
    hash[1] = random();
    made += 1;
    // Clients' clocks differ by some seconds.
    const keyMs = startMs + Math.floor((made / perSecond) * 1000) - ((made * 7919) % 5000);
    table.add(keyMs, made % 1000, made, hash);
  }
  table.work();
  const tookMs = performance.now() - at;
  slowestMs = Math.max(slowestMs, tookMs);
  if (tookMs > 2) longTurns += 1;
  if (made % 1_000_000 === 0) peakBytes = Math.max(peakBytes, table.memoryBytes);
}
const spent = process.threadCpuUsage(cpu);
const after = process.memoryUsage();

const cursor = { slot: -1, seq: 0, part: 0 };
const lookups = 1_000_000;
let candidates = 0;
const lookStart = performance.now();
for (let i = 0; i < lookups; i += 1) {
  hash[0] = random();
  hash[1] = random();
  cursor.slot = -1;
  const keyMs = startMs + Math.floor((((i * 7919) % count) / perSecond) * 1000);
  if (table.next(keyMs, i % 1000, count, hash, cursor)) candidates += 1;
}
const lookMs = performance.now() - lookStart;
const held = after.external + after.heapUsed - before.external - before.heapUsed;
console.log(
  JSON.stringify({
    keys: table.count,
    perSecond,
    bytesPerKey: Number((table.memoryBytes / table.count).toFixed(2)),
    bytesPerKeyPeak: Number((peakBytes / table.count).toFixed(2)),
    bytesPerKeyOfProcess: Number((held / table.count).toFixed(2)),
    totalMiB: Math.round(table.memoryBytes / 2 ** 20),
    runs: table.runsCount,
    addNs: Math.round(((spent.user + spent.system) * 1000) / count),
    slowestTurnMs: Number(slowestMs.toFixed(2)),
    turnsOver2Ms: `${longTurns} of ${count / perTurn}`,
    lookUpNs: Math.round((lookMs * 1e6) / lookups),
    freshKeysThatReadTheDisk: candidates / lookups,
  }),
);
