import { TestShard } from "#test/support/test-shard.ts";
import { LoaderHandle } from "./loader-handle.ts";
import { durability, type Report, type ThroughputOptions } from "./throughput.ts";

/** Options of a failover measurement. */
export interface FailoverOptions extends Omit<ThroughputOptions, "rate"> {
  readonly rate: number;
  /** kill -9 of the primary, this many times. */
  readonly kills: number;
}

/** Wait after a kill before the gap is read, and after recovery before the next kill, ms. */
const watchMs = 1_500;
const restMs = 500;

async function killOnce(shard: TestShard, loader: LoaderHandle): Promise<number> {
  const primary = await shard.waitForPrimary();
  const victim = shard.replicas[primary];
  if (victim === undefined) throw new Error("no such replica");
  loader.tell({ kind: "mark" });
  await victim.signal("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, watchMs));
  loader.tell({ kind: "gap" });
  const { ms } = await loader.expect("gap", 5_000);
  victim.start();
  await shard.waitForCaughtUp(primary);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  return ms;
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

/** Kills the primary again and again under load; the gap is the longest time without an answer. */
export async function runFailover(options: FailoverOptions): Promise<Report> {
  const { rate, kills, links, bodyBytes, walSizeBytes, directory, paceMs } = options;
  const place = directory === undefined ? {} : { directory };
  const shard = await TestShard.start({ walSizeBytes, ...place });
  const loader = new LoaderHandle();
  try {
    const shape = { rooms: 64, senders: 64, bodyBytes, paceMs, batchMax: 512 };
    const load = { ...shape, rate, warmUpMs: 500, measureMs: 3_600_000 };
    const where = { name: shard.config.shard, cluster: shard.cluster };
    const addressed = { ...where, addresses: shard.addresses() };
    loader.tell({ kind: "run", links, shard: addressed, tls: shard.edgeTls, load });
    await loader.expect("started", 30_000);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const gaps: number[] = [];
    for (let kill = 0; kill < kills; kill += 1) gaps.push(await killOnce(shard, loader));
    const sorted = gaps.toSorted((a, b) => a - b);
    const [p50, p99, max] = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1) ?? 0];
    const rows: readonly (readonly [string, string])[] = [
      ["kills", `${kills} x kill -9 of the primary at ${rate}/s`],
      ["gap P50", `${p50.toFixed(0)} ms`],
      ["gap P99", `${p99.toFixed(0)} ms`],
      ["gap max", `${max.toFixed(0)} ms`],
      ["all", sorted.map((gap) => gap.toFixed(0)).join(" ")],
      ["durability", durability],
    ];
    const table = rows.map(([name, value]) => `${name.padEnd(14)} ${value}`).join("\n");
    return { table, json: { options, durability, node: process.version, gaps, p50, p99, max } };
  } finally {
    loader.close();
    await shard.close();
  }
}
