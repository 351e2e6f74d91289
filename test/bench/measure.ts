import { mkdirSync } from "node:fs";
import { TestShard } from "#test/support/test-shard.ts";
import { ForeignCpu } from "./foreign-cpu.ts";
import { LoaderHandle } from "./loader-handle.ts";
import type { LoaderReport } from "./loader.ts";
import type { ThroughputOptions } from "./throughput.ts";

/** Cores that others may use before the start, and during the run. */
const foreignBefore = 0.06;
const foreignDuring = 0.12;
const gateSeconds = 30;
const attemptsMax = 3;
/** V8 compiles what is hot in the first 15 s of a load, with a tenth of a core in each process. */
const warmUpMs = 15_000;

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

/** One measurement. */
export interface Measured {
  readonly result: Extract<LoaderReport, { kind: "result" }>;
  /** Cores that other processes used during the run. */
  readonly foreignCores: number;
  readonly quietBefore: boolean;
  readonly replicaCores: number;
}

/** What makes a shard less than whole. */
export interface Disturbance {
  /** Data directory of a replica; undefined = the usual one. */
  readonly data?: (index: number) => string | undefined;
  /** Once the shard has a primary, before the load; `backup`: the last that is none. */
  readonly begin?: (shard: TestShard, backup: number) => Promise<void>;
}

/** True when others left the machine alone. */
export function wasQuiet({ quietBefore, foreignCores }: Measured): boolean {
  return quietBefore && foreignCores <= foreignDuring;
}

/** Measures, again when others used the machine meanwhile, three times at most. */
export async function measure(
  options: ThroughputOptions,
  disturbance: Disturbance = {},
): Promise<Measured> {
  let measured = await measureOnce(options, disturbance);
  for (let attempt = 1; attempt < attemptsMax && options.gate; attempt += 1) {
    if (wasQuiet(measured)) break;
    console.error(`others used ${measured.foreignCores.toFixed(2)} cores; measuring again`);
    measured = await measureOnce(options, disturbance);
  }
  return measured;
}

async function measureOnce(
  options: ThroughputOptions,
  { data, begin }: Disturbance,
): Promise<Measured> {
  const loader = new LoaderHandle();
  const { profile, directory } = options;
  if (profile !== undefined) mkdirSync(profile, { recursive: true });
  const nodeFlags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const shard = await TestShard.start({
    walSizeBytes: options.walSizeBytes,
    nodeFlags,
    ...(data === undefined ? {} : { data: [0, 1, 2].map(data) }),
    ...(directory === undefined ? {} : { directory }),
  });
  try {
    const replicaPids = () => shard.replicas.flatMap((one) => (one.pid === null ? [] : [one.pid]));
    const foreign = new ForeignCpu(() => [process.pid, loader.pid, ...replicaPids()]);
    const replicas = new ForeignCpu(replicaPids);
    const primary = await shard.waitForPrimary();
    await begin?.(shard, primary === 2 ? 1 : 2);
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
