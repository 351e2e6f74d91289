import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BatchResult, emptyBatch, mergeBatches } from "./batch.ts";
import { commitName } from "./commit-name.ts";
import { Coverage } from "./coverage.ts";

const folder = new URL(".", import.meta.url).pathname;
const runsDefault = 30_000;
const workers = 2;

/** One worker process over its share of the seeds; its batch, or null when it did not end well. */
function worker(first: number, runs: number, report: string): Promise<BatchResult | null> {
  return new Promise((resolve) => {
    const seeds = ["--first", `${first}`, "--runs", `${runs}`, "--stop-at", "20"];
    const args = [...process.execArgv, join(folder, "main.ts"), ...seeds, "--report", report];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
    child.on("close", () => {
      try {
        resolve(JSON.parse(readFileSync(report, "utf8")) as BatchResult);
      } catch {
        resolve(null);
      }
    });
  });
}

function table(coverage: Coverage, group: string, title: string): string {
  const rows = coverage.group(group).map(([what, times]) => `| ${what} | ${times} |`);
  return [`## ${title}`, "", "| What | Times |", "|---|---|", ...rows, ""].join("\n");
}

/** The report: what ran, where, and everything that happened in it. */
function page(batch: BatchResult, first: number, seconds: number): string {
  const coverage = new Coverage();
  coverage.merge(batch.counts);
  const missing = coverage.missing(batch.runs);
  const faults = coverage.group("fault").reduce((sum, [, times]) => sum + times, 0);
  const virtual = batch.virtualMs / 1000;
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
    table(coverage, "row", "Rows of the recovery table"),
    table(coverage, "answer", "Operations and their answers"),
    table(coverage, "state", "Keys, segments, checkpoints"),
    table(coverage, "proof", "Proofs checked"),
    table(coverage, "received", "Messages received"),
    table(coverage, "sent", "Messages sent"),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { runs: { type: "string" }, first: { type: "string" } },
  });
  const runs = Number(values.runs ?? runsDefault);
  const first = Number(values.first ?? 1);
  const scratch = mkdtempSync(join(tmpdir(), "sim-release-"));
  const started = performance.now();
  const share = Math.ceil(runs / workers);
  const batches = await Promise.all(
    Array.from({ length: workers }, (_, i) => {
      const begin = i * share;
      const count = Math.max(0, Math.min(share, runs - begin));
      return worker(first + begin, count, join(scratch, `${i}.json`));
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  rmSync(scratch, { recursive: true, force: true });
  let all = emptyBatch(first);
  for (const batch of batches) if (batch !== null) all = mergeBatches(all, batch);
  const whole = batches.every((batch) => batch !== null) && all.runs === runs;
  // A short trial does not take the place of the release's page.
  const file = runs >= runsDefault ? "RELEASE.md" : "RELEASE.trial.md";
  const target = runs >= runsDefault ? join(folder, file) : join(tmpdir(), file);
  writeFileSync(target, page(all, first, seconds));
  process.stdout.write(`${all.runs} runs, ${all.failures.length} failed; ${target}\n`);
  process.exitCode = whole && all.failures.length === 0 ? 0 : 1;
}

await main();
