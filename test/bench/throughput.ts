import { cpus } from "node:os";
import { measure, type Measured, wasQuiet } from "./measure.ts";

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

/** What every figure of this bench stands on. */
export const durability =
  "ack = synced (O_DSYNC) on 2 of 3 disks; AES-256-GCM, Ed25519 and mTLS 1.3 on all replicas";

function milliseconds(us: number): string {
  return (us / 1000).toFixed(2);
}

function tableOf(options: ThroughputOptions, measured: Measured): string {
  const { result, foreignCores } = measured;
  const valid = wasQuiet(measured);
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
  const measured = await measure(options);
  const { result, ...rest } = measured;
  const perSecond = Math.round(result.committed / result.seconds);
  const json = { options, durability, node: process.version, perSecond, ...rest, result };
  return { table: tableOf(options, measured), json };
}
