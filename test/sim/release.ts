import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { numberFlag, toolFlags } from "#test/support/tool-flags.ts";
import { type BatchResult, emptyBatch, mergeBatches } from "./batch.ts";
import { commitName } from "./commit-name.ts";
import { Coverage, coverageRunsMin } from "./coverage.ts";

const folder = new URL(".", import.meta.url).pathname;
const runsDefault = 30_000;
const workersDefault = 2;
/** Between two lines about how far it is, ms. */
const progressMs = 30_000;

/** What is asked for. */
interface Wanted {
  readonly first: number;
  readonly runs: number;
  readonly workers: number;
}

/** A process over its share of the seeds, and the file in which it says how far it is. */
interface Worker {
  readonly child: ChildProcess;
  readonly file: string;
  /** True when it went through its whole share. */
  readonly ended: Promise<boolean>;
}

function startWorker(first: number, runs: number, file: string): Worker {
  const seeds = ["--first", `${first}`, "--runs", `${runs}`, "--stop-at", "20"];
  const args = [...process.execArgv, join(folder, "main.ts"), ...seeds, "--report", file];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  const ended = new Promise<boolean>((resolve) => {
    child.on("error", () => resolve(false));
    child.on("close", (code) => resolve(code === 0));
  });
  return { child, file, ended };
}

function startWorkers({ first, runs, workers }: Wanted, scratch: string): readonly Worker[] {
  const share = Math.ceil(runs / workers);
  return Array.from({ length: workers }, (_, i) => {
    const begin = Math.min(runs, i * share);
    const count = Math.min(share, runs - begin);
    return startWorker(first + begin, count, join(scratch, `${i}.json`));
  });
}

/** What all workers have come to, as of their last words. */
function gather(workers: readonly Worker[], first: number): BatchResult {
  let all = emptyBatch(first);
  for (const { file } of workers) {
    if (!existsSync(file)) continue;
    all = mergeBatches(all, JSON.parse(readFileSync(file, "utf8")) as BatchResult);
  }
  return { ...all, first };
}

/** One line: how far it is, how fast, and when it will be done. */
function progressLine(batch: BatchResult, runs: number, seconds: number): string {
  const rate = batch.runs / seconds;
  const left = rate > 0 ? ((runs - batch.runs) / rate / 60).toFixed(1) : "?";
  const done = `${batch.runs} of ${runs} runs, ${batch.failures.length} failed`;
  return `${done}, ${rate.toFixed(1)} runs/s, ${left} min left`;
}

function table(coverage: Coverage, group: string, title: string): string {
  const rows = coverage.group(group).map(([what, times]) => `| ${what} | ${times} |`);
  return [`## ${title}`, "", "| What | Times |", "|---|---|", ...rows, ""].join("\n");
}

/** The report: what ran, where, and everything that happened in it. */
function page(batch: BatchResult, workers: number, seconds: number): string {
  const coverage = new Coverage();
  coverage.merge(batch.counts);
  const missing = coverage.missing(batch.runs);
  const faults = coverage.group("fault").reduce((sum, [, times]) => sum + times, 0);
  const virtual = batch.virtualMs / 1000;
  const { first } = batch;
  const last = first + batch.runs - 1;
  const failed = batch.failures.map(({ seed, why }) => `- seed ${seed}: ${why}`);
  const lines = [
    "# Simulation of a release",
    "",
    "Written by `npm run sim:release`; do not edit.",
    "",
    `- Commit ${commitName()}, Node ${process.version}, ${cpus()[0]?.model ?? "unknown CPU"}`,
    `- Runs: ${batch.runs}, seeds ${first} to ${last}, ${batch.failures.length} failed`,
    `- Excused stalls: ${batch.excused}; runs that needed the third machine: ${batch.third}`,
    `- Commits: ${batch.commits}; events: ${batch.events}; faults injected: ${faults}`,
    `- Virtual time: ${(virtual / 3600).toFixed(1)} h in ${(seconds / 60).toFixed(1)} min on ` +
      `${workers} workers: ${(virtual / seconds).toFixed(0)} times as fast as real time, ` +
      `${(batch.runs / seconds).toFixed(1)} runs a second`,
    `- Never happened: ${missing.length === 0 ? "nothing" : missing.join(", ")}`,
    "",
    ...(failed.length > 0 ? ["## Failures", "", ...failed, ""] : []),
    table(coverage, "fault", "Faults injected"),
    table(coverage, "view change", "View changes"),
    table(coverage, "status", "Status transitions"),
    table(coverage, "excuse", "Stalls that no rule could end"),
    table(coverage, "row", "Rows of the recovery table"),
    table(coverage, "answer", "Operations and their answers"),
    table(coverage, "state", "Keys, segments, checkpoints"),
    table(coverage, "proof", "Proofs checked"),
    table(coverage, "received", "Messages received"),
    table(coverage, "sent", "Messages sent"),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs until all is done or a signal comes; the batch, and whether it is whole. */
async function runAll(wanted: Wanted): Promise<{ batch: BatchResult; whole: boolean }> {
  const { first, runs } = wanted;
  const scratch = mkdtempSync(join(tmpdir(), "sim-release-"));
  const started = performance.now();
  const workers = startWorkers(wanted, scratch);
  const timer = setInterval(() => {
    const seconds = (performance.now() - started) / 1000;
    print(progressLine(gather(workers, first), runs, seconds));
  }, progressMs);
  const stop = (): void => {
    for (const { child } of workers) child.kill("SIGKILL");
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const ended = await Promise.all(workers.map((worker) => worker.ended));
  clearInterval(timer);
  const batch = gather(workers, first);
  rmSync(scratch, { recursive: true, force: true });
  const whole = ended.every((well) => well) && batch.runs === runs;
  return { batch: { ...batch, realMs: performance.now() - started }, whole };
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = toolFlags({ options: { runs: text, first: text, workers: text } });
  const runs = numberFlag("--runs", values.runs, runsDefault, { min: 1 });
  const workers = numberFlag("--workers", values.workers, workersDefault, { min: 1, max: 256 });
  const first = numberFlag("--first", values.first, 1, { min: 1 });
  const { batch, whole } = await runAll({ first, runs, workers });
  // What was stopped, or a short trial, does not take the place of the release's page.
  const release = whole && runs >= runsDefault;
  const target = release ? join(folder, "RELEASE.md") : join(tmpdir(), "RELEASE.trial.md");
  const seconds = batch.realMs / 1000;
  writeFileSync(target, page(batch, workers, seconds));
  const coverage = new Coverage();
  coverage.merge(batch.counts);
  const missing = batch.runs < coverageRunsMin ? [] : coverage.missing(batch.runs);
  for (const { seed, why } of batch.failures) print(`seed ${seed} FAILED ${why}`);
  for (const what of missing) print(`NEVER HAPPENED: ${what}`);
  if (!whole) print("not whole: stopped, or a worker ended early; seeds are those of each worker");
  print(`${progressLine(batch, runs, seconds)}; ${target}`);
  process.exitCode = whole && batch.failures.length === 0 && missing.length === 0 ? 0 : 1;
}

await main();
