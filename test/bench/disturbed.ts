import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FaultyDisk } from "#test/faults/faulty-disk.ts";
import { type Disturbance, measure, type Measured } from "./measure.ts";
import { durability, type Report, type ThroughputOptions } from "./throughput.ts";

/** What the slow disk is slowed by, beside its own time: ten times as slow in all. */
const slowdown = 9;
/** Writes that are timed to learn how long a sync takes here, and their size, as a prepare's. */
const probeWrites = 200;
const probeBytes = 32 * 1024;
/** P99 beside a healthy shard's, at most. */
const ratioMax = 1.5;
const kinds = ["healthy", "replica down", "slow disk"] as const;

/** Milliseconds that a synced write takes in a directory: the median. */
function syncMs(directory: string): number {
  const path = join(directory, "probe");
  const flags = constants.O_CREAT | constants.O_RDWR | constants.O_DSYNC;
  const file = openSync(path, flags, 0o600);
  const bytes = new Uint8Array(probeBytes).fill(7);
  const tookMs: number[] = [];
  for (let i = 0; i < probeWrites; i += 1) {
    const startMs = performance.now();
    writeSync(file, bytes, 0, bytes.length, (i % 16) * probeBytes);
    tookMs.push(performance.now() - startMs);
  }
  closeSync(file);
  rmSync(path);
  tookMs.sort((a, b) => a - b);
  return tookMs[probeWrites / 2] ?? 0;
}

/** One backup is killed before the load comes. */
const replicaDown: Disturbance = {
  begin: async (shard, backup) => {
    await shard.replicas[backup]?.signal("SIGKILL");
  },
};

/** One backup's volume lies on a file system whose syncs take longer. */
function slowDisk(disk: FaultyDisk, delayMs: number): Disturbance {
  return {
    data: (index) => (index === 2 ? join(disk.mount, "data") : undefined),
    begin: async (_shard, backup) => {
      if (backup !== 2) throw new Error("the slow disk is the primary's; measure again");
      await disk.delay("sync", delayMs);
    },
  };
}

/**
 * Measures the same load three times in one run: on a healthy shard, with one replica down, and
 * with one disk ten times as slow; the tail may grow by half.
 */
export async function runDisturbed(options: ThroughputOptions): Promise<Report> {
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), "tigerchat-disturbed-"));
  const delayMs = Math.max(1, Math.round(slowdown * syncMs(directory)));
  const disk = await FaultyDisk.start(join(directory, "disk"));
  try {
    const measured: Measured[] = [];
    for (const kind of kinds) {
      const slow = kind === "slow disk" ? slowDisk(disk, delayMs) : {};
      measured.push(await measure(options, kind === "replica down" ? replicaDown : slow));
    }
    return reportOf(options, measured, delayMs);
  } finally {
    await disk.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function reportOf(
  options: ThroughputOptions,
  measured: readonly Measured[],
  delayMs: number,
): Report {
  const healthyUs = measured[0]?.result.p99 ?? 0;
  const rows = measured.map(({ result }, i) => {
    const perSecond = Math.round(result.committed / result.seconds);
    return { what: kinds[i] ?? "", perSecond, p50Us: result.p50, p99Us: result.p99 };
  });
  const lines = rows.map(({ what, perSecond, p50Us, p99Us }) => {
    const ratio = p99Us / healthyUs;
    const verdict = ratio <= ratioMax ? "within" : "OVER";
    const figures = [`${perSecond}/s`, `P50 ${ms(p50Us)}`, `P99 ${ms(p99Us)} ms`];
    const beside = `${ratio.toFixed(2)} of healthy, ${verdict} ${ratioMax}`;
    return `${what.padEnd(14)} ${figures.map((one) => one.padEnd(14)).join(" ")} ${beside}`;
  });
  const offered = `${options.rate ?? "saturated"}/s of ${options.bodyBytes}-byte messages`;
  const head = [`offered        ${offered}`, `slow disk      + ${delayMs} ms a sync`];
  const table = [...head, ...lines, `durability     ${durability}`].join("\n");
  return { table, json: { options, delayMs, durability, rows } };
}

function ms(us: number): string {
  return (us / 1000).toFixed(2);
}
