import { cpus } from "node:os";
import { mkdirSync } from "node:fs";
import { TestShard } from "#test/support/test-shard.ts";
import { ForeignCpu } from "./foreign-cpu.ts";
import { LoaderHandle } from "./loader-handle.ts";
import type { LoaderReport } from "./loader.ts";

/** Options of one measurement. */
export interface ThroughputOptions {
  /** Messages a second; null = saturated, closed loop with full windows. */
  readonly rate: number | null;
  readonly seconds: number;
  /** Sessions, each as one edge. */
  readonly links: number;
  readonly bodyBytes: number;
  /** Milliseconds that an edge gathers messages for a batch. */
  readonly paceMs: number;
  readonly walSizeBytes: number;
  /** Wait for a quiet machine, and measure again when it was not. */
  readonly gate: boolean;
  /** Directory for CPU profiles of the replicas. */
  readonly profile?: string;
  /** Where the data directories go. */
  readonly directory?: string;
}

/** A measurement as a table for people and as JSON for programs. */
export interface Report {
  readonly table: string;
  readonly json: unknown;
}

type Result = Extract<LoaderReport, { kind: "result" }>;

/** Cores that others may use before the start, and during the run. */
const foreignBefore = 0.06;
const foreignDuring = 0.12;
const gateSeconds = 30;
const attemptsMax = 3;
const warmUpMs = 5_000;

/** What every figure of this bench stands on. */
export const durability =
  "ack = synced (O_DSYNC) on 2 of 3 disks; AES-256-GCM, Ed25519 and mTLS 1.3 on all replicas";

async function waitForQuiet(foreign: ForeignCpu): Promise<number> {
  let cores = 1;
  for (let second = 0; second < gateSeconds; second += 1) {
    foreign.start();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    cores = foreign.cores();
    if (cores < foreignBefore) break;
  }
  return cores;
}

interface Measured {
  readonly result: Result;
  readonly foreignCores: number;
  readonly quietBefore: boolean;
  readonly replicaCores: number;
}

async function measureOnce(options: ThroughputOptions): Promise<Measured> {
  const loader = new LoaderHandle();
  const { profile, directory } = options;
  if (profile !== undefined) mkdirSync(profile, { recursive: true });
  const nodeFlags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const shard = await TestShard.start({
    walSizeBytes: options.walSizeBytes,
    nodeFlags,
    ...(directory === undefined ? {} : { directory }),
  });
  try {
    const replicaPids = () => shard.replicas.flatMap((one) => (one.pid === null ? [] : [one.pid]));
    const foreign = new ForeignCpu(() => [process.pid, loader.pid, ...replicaPids()]);
    const replicas = new ForeignCpu(replicaPids);
    const before = options.gate ? await waitForQuiet(foreign) : 1;
    const { rate, links, bodyBytes, seconds, paceMs } = options;
    const shape = { rooms: 64, senders: 64, bodyBytes, paceMs, batchMax: 512 };
    const load = { ...shape, rate, warmUpMs, measureMs: seconds * 1000 };
    const where = { name: shard.config.shard, cluster: shard.cluster };
    const addressed = { ...where, addresses: shard.addresses() };
    loader.tell({ kind: "run", links, shard: addressed, tls: shard.edgeTls, load });
    await loader.expect("started", 30_000);
    await new Promise((resolve) => setTimeout(resolve, warmUpMs));
    foreign.start();
    replicas.start();
    const result = await loader.expect("result", warmUpMs + seconds * 1000 + 30_000);
    const quietBefore = before < foreignBefore;
    const replicaCores = replicas.ownCores();
    return { result, foreignCores: foreign.cores(), quietBefore, replicaCores };
  } finally {
    loader.close();
    await shard.close({ gently: profile !== undefined });
  }
}

function milliseconds(us: number): string {
  return (us / 1000).toFixed(2);
}

function tableOf(options: ThroughputOptions, measured: Measured): string {
  const { result, foreignCores, quietBefore } = measured;
  const valid = quietBefore && foreignCores <= foreignDuring;
  const perSecond = Math.round(result.committed / result.seconds);
  const offered = options.rate === null ? "saturated" : `${options.rate}/s open loop`;
  const perBatch = (result.committed / Math.max(1, result.batches)).toFixed(0);
  const prepares = Math.round(result.prepares / result.seconds);
  const rows: readonly (readonly [string, string])[] = [
    ["offered", `${offered}, ${options.bodyBytes}-byte messages, ${options.links} session(s)`],
    ["committed", `${perSecond}/s in ${result.seconds.toFixed(1)} s, ${perBatch} a batch`],
    ["prepares", `${prepares}/s`],
    ["latency P50", `${milliseconds(result.p50)} ms`],
    ["latency P99", `${milliseconds(result.p99)} ms`],
    ["latency P99.9", `${milliseconds(result.p999)} ms (max ${milliseconds(result.max)} ms)`],
    ["not ok", `${result.unknown} unknown, ${result.rejected} rejected, ${result.late} late`],
    ["refused", JSON.stringify(result.wrong)],
    ["replicas' CPU", `${measured.replicaCores.toFixed(2)} of ${cpus().length} cores`],
    ["durability", durability],
    [
      "foreign CPU",
      `${foreignCores.toFixed(2)} cores; ${valid ? "valid" : "NOT VALID: machine busy"}`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)} ${value}`).join("\n");
}

/** Measures one shard of three real processes under an open-loop (or saturating) load. */
export async function runThroughput(options: ThroughputOptions): Promise<Report> {
  let measured = await measureOnce(options);
  for (let attempt = 1; attempt < attemptsMax && options.gate; attempt += 1) {
    if (measured.quietBefore && measured.foreignCores <= foreignDuring) break;
    console.error(`others used ${measured.foreignCores.toFixed(2)} cores; measuring again`);
    measured = await measureOnce(options);
  }
  const { result, ...rest } = measured;
  const perSecond = Math.round(result.committed / result.seconds);
  const json = { options, durability, node: process.version, perSecond, ...rest, result };
  return { table: tableOf(options, measured), json };
}
