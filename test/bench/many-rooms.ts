import { TestShard } from "#test/support/test-shard.ts";
import { LoaderHandle } from "./loader-handle.ts";
import { metricOf } from "./metric-of.ts";
import { durability, type Report, type ThroughputOptions } from "./throughput.ts";

/** Options of one measurement. */
export interface ManyRoomsOptions extends Omit<ThroughputOptions, "rate"> {
  readonly rooms: number;
  readonly rate: number;
}

/** Between two looks at the replicas' event loops, ms. */
const lookMs = 1_000;
/** Until all rooms are made, ms. */
const roomsMs = 300_000;

/** Longest turn of one replica's event loop, ms by the clock, and its checkpoints meanwhile. */
interface Turns {
  readonly replica: number;
  longestMs: number;
  /** The longest turn of the median second. */
  medianMs: number;
  checkpoints: number;
}

/** Looks at the event loops of all replicas until `over`; each look clears what it saw. */
async function watchTurns(shard: TestShard, over: Promise<unknown>): Promise<readonly Turns[]> {
  const seen: number[][] = [[], [], []];
  const turns = [0, 1, 2].map((replica) => {
    return { replica, longestMs: 0, medianMs: 0, checkpoints: 0 };
  });
  const begun = await Promise.all(turns.map(({ replica }) => shard.metrics(replica)));
  let running = true;
  const end = over.finally(() => {
    running = false;
  });
  while (running) {
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, lookMs))]);
    for (const one of turns) {
      const text = await shard.metrics(one.replica);
      const ms = 1000 * metricOf(text, 'tigerchat_replica_event_loop_lag_seconds{quantile="1"}');
      const name = "tigerchat_replica_checkpoints_total";
      one.checkpoints = metricOf(text, name) - metricOf(begun[one.replica] ?? "", name);
      one.longestMs = Math.max(one.longestMs, ms);
      seen[one.replica]?.push(ms);
    }
  }
  for (const one of turns) {
    const all = (seen[one.replica] ?? []).sort((a, b) => a - b);
    one.medianMs = all[Math.floor(all.length / 2)] ?? 0;
  }
  return turns;
}

/** A shard of real processes with many rooms under load: how long its event loops stand still. */
export async function runManyRooms(options: ManyRoomsOptions): Promise<Report> {
  const { links, bodyBytes, walSizeBytes, directory, paceMs, rooms, rate, seconds } = options;
  const place = directory === undefined ? {} : { directory };
  const { profile } = options;
  const nodeFlags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const shard = await TestShard.start({ walSizeBytes, nodeFlags, ...place });
  const loader = new LoaderHandle();
  try {
    const shape = { rooms, senders: 64, bodyBytes, paceMs, batchMax: 512 };
    const load = { ...shape, rate, warmUpMs: 1_000, measureMs: seconds * 1000 };
    const { config, cluster, edgeTls: tls } = shard;
    const addressed = { name: config.shard, cluster, addresses: shard.addresses() };
    const startMs = performance.now();
    loader.tell({ kind: "run", links, shard: addressed, tls, load });
    await loader.expect("started", roomsMs);
    const roomsSeconds = Math.round((performance.now() - startMs) / 1000);
    const report = loader.expect("result", (seconds + 60) * 1000);
    const turns = await watchTurns(shard, report);
    const result = await report;
    const rows = turns.map(({ replica, longestMs, medianMs, checkpoints }) => {
      const median = `of the median second ${medianMs.toFixed(1)}`;
      const figures = `longest turn ${longestMs.toFixed(1)} ms, ${median}`;
      return `replica ${replica}      ${figures}; ${checkpoints} checkpoints`;
    });
    const perSecond = Math.round(result.committed / result.seconds);
    const table = [
      `rooms          ${rooms}, made in ${roomsSeconds} s`,
      `committed      ${perSecond}/s for ${Math.round(result.seconds)} s, each to the next room`,
      `latency        P50 ${ms(result.p50)}, P99 ${ms(result.p99)} ms`,
      ...rows,
      `durability     ${durability}`,
    ].join("\n");
    const { buckets: _buckets, ...short } = result;
    return { table, json: { options, roomsSeconds, turns, result: short } };
  } finally {
    loader.close();
    await shard.close({ gently: profile !== undefined });
  }
}

function ms(us: number): string {
  return (us / 1000).toFixed(2);
}
