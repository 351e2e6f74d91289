import { cpus } from "node:os";
import { TestShard } from "#test/support/test-shard.ts";
import { ForeignCpu } from "./foreign-cpu.ts";
import { LoaderHandle } from "./loader-handle.ts";
import type { Report, ThroughputOptions } from "./throughput.ts";

/** Options of a search for view changes that nobody asked for. */
export interface QuietViewsOptions extends Omit<ThroughputOptions, "rate" | "seconds"> {
  /** Seconds without any load, then with as much as is taken. */
  readonly idleSeconds: number;
  readonly loadSeconds: number;
}

/** Between two looks at the views, ms. */
const lookMs = 1_000;

/** One stretch of time, and what the views did in it. */
interface Stretch {
  readonly name: string;
  readonly seconds: number;
  readonly viewBefore: number;
  readonly viewAfter: number;
  /** Cores that the shard and its loader used, and that others did, on average. */
  readonly ownCores: number;
  readonly foreignCores: number;
}

async function viewOf(shard: TestShard): Promise<number> {
  const statuses = await Promise.all([0, 1, 2].map((index) => shard.status(index)));
  return Math.max(...statuses.map((status) => status?.view ?? 0));
}

async function watch(
  shard: TestShard,
  loader: LoaderHandle,
  name: string,
  seconds: number,
): Promise<Stretch> {
  const pids = (): number[] => shard.replicas.flatMap(({ pid }) => (pid === null ? [] : [pid]));
  const cpu = new ForeignCpu(() => [process.pid, loader.pid, ...pids()]);
  const viewBefore = await viewOf(shard);
  const untilMs = performance.now() + seconds * 1000;
  let viewAfter = viewBefore;
  while (performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    const view = await viewOf(shard);
    if (view > viewAfter) console.error(`${name}: view ${viewAfter} became ${view}`);
    viewAfter = Math.max(viewAfter, view);
  }
  const cores = { ownCores: cpu.ownCores(), foreignCores: cpu.cores() };
  return { name, seconds, viewBefore, viewAfter, ...cores };
}

/** Runs a shard idle and then under full load: no view may change in either. */
export async function runQuietViews(options: QuietViewsOptions): Promise<Report> {
  const { links, bodyBytes, walSizeBytes, directory, paceMs } = options;
  const place = directory === undefined ? {} : { directory };
  const shard = await TestShard.start({ walSizeBytes, ...place });
  const loader = new LoaderHandle();
  try {
    const idle = await watch(shard, loader, "idle", options.idleSeconds);
    const shape = { rooms: 64, senders: 64, bodyBytes, paceMs, batchMax: 512 };
    const load = { ...shape, rate: null, warmUpMs: 1_000, measureMs: 24 * 3_600_000 };
    const where = { name: shard.config.shard, cluster: shard.cluster };
    const addressed = { ...where, addresses: shard.addresses() };
    loader.tell({ kind: "run", links, shard: addressed, tls: shard.edgeTls, load });
    await loader.expect("started", 30_000);
    const loaded = await watch(shard, loader, "full load", options.loadSeconds);
    const rows = [idle, loaded].map((stretch) => {
      const { name, seconds, viewBefore, viewAfter, ownCores, foreignCores } = stretch;
      const views = `view ${viewBefore} to ${viewAfter}, ${viewAfter - viewBefore} changes`;
      const used = `${ownCores.toFixed(2)} of ${cpus().length} cores used`;
      const busy = `${used}, others ${foreignCores.toFixed(2)}`;
      return `${name.padEnd(14)} ${seconds} s: ${views}; ${busy}`;
    });
    const json = { options, node: process.version, idle, loaded };
    return { table: rows.join("\n"), json };
  } finally {
    loader.close();
    await shard.close();
  }
}
