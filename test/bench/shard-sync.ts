import { TestShard } from "#test/support/test-shard.ts";
import { LoaderHandle } from "./loader-handle.ts";
import type { LoaderReport } from "./loader.ts";
import { metricOf } from "./metric-of.ts";
import { durability, type Report, type ThroughputOptions } from "./throughput.ts";

/** Options of one measurement. */
export interface ShardSyncOptions
  extends Omit<ThroughputOptions, "rate" | "seconds" | "bodyBytes"> {
  /** Mebibytes of message bodies in the shard before a replica is emptied. */
  readonly fillMiB: number;
  /** Messages a second meanwhile, open loop. */
  readonly rate: number;
  /** The new replica's limit. */
  readonly syncMiBPerS: number;
}

const mib = 2 ** 20;
/** Body of a message of the filling, and of the load meanwhile. */
const fillBodyBytes = 16_000;
const loadBodyBytes = 128;
/** Which replica is emptied: never the first primary. */
const emptied = 2;
/** Hours that a load may go on: it is ended, not waited for. */
const longMs = 3_600_000;

type Result = Extract<LoaderReport, { kind: "result" }>;

/** Posts large messages, two replicas up, until the shard holds so many bytes; seconds taken. */
async function fill(shard: TestShard, options: ShardSyncOptions): Promise<number> {
  const loader = new LoaderHandle();
  const startMs = performance.now();
  try {
    const shape = { rooms: 1000, senders: 64, bodyBytes: fillBodyBytes, paceMs: 2, batchMax: 15 };
    const load = { ...shape, rate: null, warmUpMs: 0, measureMs: longMs };
    loader.tell({ kind: "run", links: 2, ...placeOf(shard), load });
    await loader.expect("started", 30_000);
    await shard.waitFor("the shard to be full", longMs, async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const texts = await Promise.all([0, 1].map((index) => shard.metrics(index)));
      const name = "tigerchat_replica_operations_total";
      const posts = texts.reduce((sum, text) => sum + metricOf(text, name), 0);
      return posts * fillBodyBytes >= options.fillMiB * mib ? true : null;
    });
    return (performance.now() - startMs) / 1000;
  } finally {
    loader.close();
  }
}

function placeOf(shard: TestShard) {
  const { config, cluster, edgeTls: tls } = shard;
  return { shard: { name: config.shard, cluster, addresses: shard.addresses() }, tls };
}

async function loadFor(
  shard: TestShard,
  options: ShardSyncOptions,
  seconds: number,
): Promise<Result> {
  const loader = new LoaderHandle();
  try {
    const { paceMs, rate } = options;
    const shape = { rooms: 64, senders: 64, bodyBytes: loadBodyBytes, paceMs, batchMax: 512 };
    const load = { ...shape, rate, warmUpMs: 500, measureMs: seconds * 1000 };
    loader.tell({ kind: "run", links: 1, ...placeOf(shard), load });
    await loader.expect("started", 30_000);
    return await loader.expect("result", (seconds + 60) * 1000);
  } finally {
    loader.close();
  }
}

/**
 * Fills a shard of real processes, empties one replica's volume, lets it come back by state sync
 * over mTLS at its pace while the shard serves a load, and says what that load felt.
 */
export async function runShardSync(options: ShardSyncOptions): Promise<Report> {
  const { walSizeBytes, directory, fillMiB, syncMiBPerS } = options;
  const place = directory === undefined ? {} : { directory };
  const sync = { bytesPerS: syncMiBPerS * mib };
  const shard = await TestShard.start({ walSizeBytes, sync, ...place });
  try {
    await shard.replicas[emptied]?.signal("SIGKILL");
    await shard.waitForPrimary();
    const fillSeconds = await fill(shard, options);
    const before = await loadFor(shard, options, 5);
    // The load outlasts the sync at its pace: what is behind the sync is as good as before it.
    const seconds = Math.ceil(1.25 * (fillMiB / syncMiBPerS)) + 10;
    const loading = loadFor(shard, options, seconds);
    const startMs = performance.now();
    await shard.replace(emptied, longMs);
    const syncSeconds = (performance.now() - startMs) / 1000;
    const during = await loading;
    const pace = `${(fillMiB / syncSeconds).toFixed(1)} MiB/s, limit ${syncMiBPerS}`;
    const table = [
      `filled         ${fillMiB} MiB of bodies in ${Math.round(fillSeconds)} s by two replicas`,
      `synced         an empty replica votes again after ${syncSeconds.toFixed(1)} s: ${pace}`,
      `before         ${latencies(before)}`,
      `during         ${latencies(during)}`,
      `durability     ${durability}`,
    ].join("\n");
    const short = ({ buckets: _, ...rest }: Result) => rest;
    const json = {
      options,
      fillSeconds,
      syncSeconds,
      before: short(before),
      during: short(during),
    };
    return { table, json };
  } finally {
    await shard.close();
  }
}

function latencies({ committed, seconds, p50, p99, max, unknown, rejected }: Result): string {
  const [middle, tail, most] = [p50, p99, max].map((us) => (us / 1000).toFixed(2));
  const load = `${Math.round(committed / seconds)}/s for ${Math.round(seconds)} s`;
  return `${load}: P50 ${middle}, P99 ${tail}, max ${most} ms; ${unknown + rejected} failed`;
}
