import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestShard, type TestShardOptions } from "#test/support/test-shard.ts";
import { checkHistory } from "./check-history.ts";
import { History } from "./history.ts";
import { judgeByPorcupine } from "./porcupine.ts";
import { runDirectory } from "./run-directory.ts";
import { Workload, type WorkloadShape } from "./workload.ts";

/** A shard under load, as a scenario holds it. */
export interface Scenario {
  readonly shard: TestShard;
  readonly load: Workload;
  readonly history: History;
}

/** What a scenario may choose. */
export interface ScenarioOptions {
  readonly shard?: Omit<TestShardOptions, "directory">;
  readonly load?: WorkloadShape;
}

/** Acknowledged before the faults begin, and again after they have ended. */
const warmUpAcks = 60;
/** Small rings: wraps and checkpoints happen within seconds. */
const walSizeBytes = 32 * 1024 * 1024;
/** Patient: these tests are about what is lost, on machines that starve a process for 100 ms. */
const timing = { heartbeatMs: 40, suspectMs: 300, viewChangeMs: 450 };

/**
 * Starts a shard and its clients, runs the faults, demands that the shard serves again, reads
 * everything and has both judges look at the history. A failure leaves the history and the
 * replicas' logs in a folder that its message names.
 */
export async function underLoad(
  name: string,
  options: ScenarioOptions,
  faults: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const directory = await runDirectory();
  const shard = await startShard({ walSizeBytes, timing, ...options.shard, directory });
  const history = new History();
  let load: Workload | null = null;
  try {
    load = await Workload.start(shard, history, options.load);
    await load.waitForAcks(warmUpAcks);
    await faults({ shard, load, history });
    await load.waitForAcks(warmUpAcks);
    await load.stop();
    await load.readAll();
    await judge(name, history);
  } catch (error) {
    const folder = keepEvidence(name, shard, history);
    throw new Error(`${name} failed; history and logs are in ${folder}`, { cause: error });
  } finally {
    const stopped = load?.stop();
    await shard.close();
    await stopped;
  }
}

/** Another process may take a port between the moment it was free and ours: then once more. */
async function startShard(options: TestShardOptions): Promise<TestShard> {
  try {
    return await TestShard.start(options);
  } catch (error) {
    if (!String(error).includes("is in use")) throw error;
    for (const path of options.data ?? []) {
      if (path !== undefined) rmSync(path, { recursive: true, force: true });
    }
    return await TestShard.start(options);
  }
}

async function judge(name: string, history: History): Promise<void> {
  const violations = checkHistory(history);
  const verdict = await judgeByPorcupine(history);
  if (violations.length > 0) throw new Error(violations.slice(0, 20).join("\n"));
  if (verdict !== null) throw new Error(verdict);
  const gapMs = Math.round(history.longestGapMs);
  const unknown = history.posts.length - history.acknowledged;
  const looks = `${history.looks.length} looks, longest gap ${gapMs} ms`;
  console.error(`  ${name}: ${history.acknowledged} acked, ${unknown} unknown, ${looks}`);
}

function keepEvidence(name: string, shard: TestShard, history: History): string {
  const word = name.replaceAll(/[^a-z0-9]+/gi, "-");
  const folder = join(tmpdir(), "tigerchat-faults-failed", `${word}-${process.pid}-${Date.now()}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "history.jsonl"), history.jsonLines());
  for (const { index, lines } of shard.replicas) {
    writeFileSync(join(folder, `replica-${index}.log`), `${lines.join("\n")}\n`);
  }
  return folder;
}
