import { TestShard } from "#test/support/test-shard.ts";
import { distributionOf, distributionRows } from "./distribution.ts";
import type { Gap } from "./load.ts";
import { LoaderHandle } from "./loader-handle.ts";
import { durability, type Report, type ThroughputOptions } from "./throughput.ts";

/** What happens to the primary. */
export type FailoverKind = "kill" | "stop" | "transfer";

/** Options of a failover measurement. */
export interface FailoverOptions extends Omit<ThroughputOptions, "rate"> {
  readonly rate: number;
  readonly kind: FailoverKind;
  /** How often. */
  readonly events: number;
}

/** From an event to the first look at the gap, and between two looks, ms. */
const watchMs = { kill: 400, stop: 400, transfer: 120 } as const;
const lookMs = 100;
/** A gap that is not over by then is what it is, ms. */
const watchMaxMs = 10_000;
/** After the shard is whole again, before the next event, ms. */
const restMs = { kill: 500, stop: 500, transfer: 150 } as const;

const what: Readonly<Record<FailoverKind, string>> = {
  kill: "kill -9 of the primary",
  stop: "SIGSTOP of the primary",
  transfer: "planned transfer of the primary",
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function strike(shard: TestShard, kind: FailoverKind, primary: number): Promise<void> {
  const victim = shard.replicas[primary];
  if (kind === "kill") await victim?.signal("SIGKILL");
  if (kind === "stop") await victim?.signal("SIGSTOP");
  if (kind !== "transfer") return;
  const view = (await shard.status(primary))?.view ?? 0;
  // To each of the others in turn.
  const target = (primary + 1 + (Math.floor(view / 3) % 2)) % 3;
  const answered = await shard.admins[primary]?.transfer({ view, target });
  if (answered?.kind !== "ok") throw new Error(`no transfer: ${JSON.stringify(answered)}`);
}

async function mend(shard: TestShard, kind: FailoverKind, primary: number): Promise<void> {
  if (kind === "kill") shard.replicas[primary]?.start();
  if (kind === "stop") await shard.replicas[primary]?.signal("SIGCONT");
  for (const index of [0, 1, 2]) await shard.waitForCaughtUp(index);
  await pause(restMs[kind]);
}

/** The longest time without an answer around one event, once answers come again. */
async function once(shard: TestShard, loader: LoaderHandle, kind: FailoverKind): Promise<number> {
  const primary = await shard.waitForPrimary();
  // A round trip to the loader, so that the search begins before the event.
  loader.tell({ kind: "mark" });
  loader.tell({ kind: "gap" });
  await loader.expect("gap", 5_000);
  await strike(shard, kind, primary);
  const untilMs = performance.now() + watchMaxMs;
  await pause(watchMs[kind]);
  let gap = await gapOf(loader);
  while (gap.openMs > lookMs && performance.now() < untilMs) {
    await pause(lookMs);
    gap = await gapOf(loader);
  }
  await mend(shard, kind, primary);
  return gap.ms;
}

async function gapOf(loader: LoaderHandle): Promise<Gap> {
  loader.tell({ kind: "gap" });
  return await loader.expect("gap", 5_000);
}

function reportOf(options: FailoverOptions, gaps: readonly number[], last: Gap): Report {
  const { rate, kind, events } = options;
  const found = distributionOf(gaps);
  const { failed, wrong } = last;
  const rows: readonly (readonly [string, string])[] = [
    ["events", `${events} x ${what[kind]} at ${rate}/s; longest time without an answer`],
    ...distributionRows(found),
    ["all, ms", found.sorted.map((gap) => gap.toFixed(0)).join(" ")],
    ["failed", `${failed} requests without an answer or refused; ${JSON.stringify(wrong)}`],
    ["durability", durability],
  ];
  const table = rows.map(([name, value]) => `${name.padEnd(14)} ${value}`).join("\n");
  const { sorted: _, ...figures } = found;
  const json = { options, durability, node: process.version, gaps, failed, wrong, ...figures };
  return { table, json };
}

/** Takes the primary away again and again under load. */
export async function runFailover(options: FailoverOptions): Promise<Report> {
  const { rate, events, kind, links, bodyBytes, walSizeBytes, directory, paceMs } = options;
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
    await pause(1_500);
    const gaps: number[] = [];
    for (let event = 0; event < events; event += 1) {
      gaps.push(await once(shard, loader, kind));
    }
    return reportOf(options, gaps, await gapOf(loader));
  } finally {
    loader.close();
    await shard.close();
  }
}
