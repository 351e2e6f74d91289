import { renameSync, writeFileSync } from "node:fs";
import { numberFlag, refuse, toolFlags } from "#test/support/tool-flags.ts";
import { type BatchResult, runBatch } from "./batch.ts";
import { canaries, unitCanaries } from "./canaries.ts";
import { commitName } from "./commit-name.ts";
import { Coverage, coverageRunsMin } from "./coverage.ts";
import { type Outcome, simulate } from "./simulate.ts";
import type { TimelineFilter } from "./timeline.ts";

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** HH:MM of today in UTC, or anything that Date reads. */
function moment(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const today = new Date().toISOString().slice(0, 10);
  const at = Date.parse(/^\d\d:\d\d$/.test(text) ? `${today}T${text}:00Z` : text);
  if (Number.isNaN(at))
    refuse(`--until is ${text}: give a time such as 17:30 (UTC) or an ISO date.`);
  return at;
}

function replayLine(seed: number, mutations: readonly string[]): string {
  const bugs = mutations.map((id) => ` --mutate ${id}`).join("");
  return `npm run sim -- --seed ${seed}${bugs} --timeline`;
}

function explain(outcome: Outcome, mutations: readonly string[]): void {
  print(`seed ${outcome.seed} FAILED ${outcome.why}`);
  print(`  commit ${commitName()}, Node ${process.version}`);
  print(`  replay: ${replayLine(outcome.seed, mutations)} [--only KIND] [--replica N]`);
}

/** A batch's state as a file, whole at any moment: who reads it may outlive who writes it. */
function report(file: string, batch: BatchResult): void {
  writeFileSync(`${file}.new`, JSON.stringify(batch));
  renameSync(`${file}.new`, file);
}

/** One seed: twice, since a seed is a run bit for bit; the first time with its timeline. */
function one(seed: number, filter: TimelineFilter | null, mutations: readonly string[]): number {
  const wishes = { mutations };
  const outcome = simulate(seed, filter === null ? wishes : { ...wishes, filter });
  const again = simulate(seed, wishes);
  const same = again.hash === outcome.hash && again.why === outcome.why;
  if (!outcome.ok) explain(outcome, mutations);
  const { hash, virtualMs, events, commits } = outcome;
  const verdict = outcome.ok ? (outcome.excused ? "ok, excused" : "ok") : "FAILED";
  print(`seed ${seed} ${verdict}: trace ${hash}${same ? "" : ` BUT ${again.hash} AGAIN`}`);
  print(`${commits} commits, ${events} events, ${(virtualMs / 1000).toFixed(1)} virtual seconds`);
  return outcome.ok && same ? 0 : 1;
}

/** The last lines about a batch; the exit code. */
function summary(batch: BatchResult): number {
  const { runs, failures, excused, third, commits, virtualMs, realMs } = batch;
  const hours = (virtualMs / 3_600_000).toFixed(2);
  const rate = (runs / (realMs / 1000)).toFixed(1);
  const ends = `${failures.length} failed, ${excused} excused, ${third} needed the third`;
  const coverage = new Coverage();
  coverage.merge(batch.counts);
  const missing = coverage.missing(runs);
  const whole = runs >= coverageRunsMin;
  for (const what of whole ? missing : []) print(`NEVER HAPPENED: ${what}`);
  print(`${runs} runs, ${ends}; ${commits} commits, ${hours} virtual hours, ${rate} runs/s`);
  return failures.length === 0 && (!whole || missing.length === 0) ? 0 : 1;
}

const { values } = toolFlags({
  options: {
    seed: { type: "string" },
    runs: { type: "string" },
    first: { type: "string" },
    until: { type: "string" },
    timeline: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    replica: { type: "string" },
    mutate: { type: "string", multiple: true, default: [] },
    "stop-at": { type: "string" },
    report: { type: "string" },
  },
});
const mutations = values.mutate;
const faults = [...canaries, ...unitCanaries.map(({ id }) => id)];
const unknown = mutations.find((id) => !faults.includes(id));
if (unknown !== undefined) refuse(`--mutate ${unknown}: there is ${faults.join(", ")}.`);
if (values.seed !== undefined) {
  const replica = numberFlag("--replica", values.replica, -1, { min: 0, max: 3 });
  const filter = values.timeline ? { print, only: values.only, replica } : null;
  process.exitCode = one(numberFlag("--seed", values.seed, 0, { min: 0 }), filter, mutations);
} else {
  const untilMs = moment(values.until);
  const file = values.report;
  const batch = runBatch({
    first: numberFlag("--first", values.first, 1, { min: 0 }),
    runs: numberFlag("--runs", values.runs, untilMs === Infinity ? 100 : 1_000_000_000, { min: 1 }),
    untilMs,
    stopAt: numberFlag("--stop-at", values["stop-at"], 5, { min: 1 }),
    mutations,
    failed: (outcome) => explain(outcome, mutations),
    ...(file === undefined ? {} : { progress: (soFar: BatchResult) => report(file, soFar) }),
  });
  // Who asked for a report sums up several batches.
  if (file === undefined) process.exitCode = summary(batch);
}
