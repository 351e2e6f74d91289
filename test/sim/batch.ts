import { Coverage } from "./coverage.ts";
import { type Outcome, simulate } from "./simulate.ts";

/** What a batch of seeds came to. */
export interface BatchResult {
  readonly first: number;
  runs: number;
  commits: number;
  events: number;
  excused: number;
  third: number;
  virtualMs: number;
  realMs: number;
  readonly failures: { readonly seed: number; readonly why: string }[];
  /** Pairs of {@link Coverage.counts}. */
  counts: readonly (readonly [string, number])[];
}

/** Which seeds a batch takes. */
export interface BatchOptions {
  readonly first: number;
  readonly runs: number;
  /** No run begins after this moment, ms since the Unix epoch. */
  readonly untilMs: number;
  /** Failures after which the batch ends. */
  readonly stopAt: number;
  readonly mutations: readonly string[];
  readonly failed: (outcome: Outcome) => void;
  /** Told now and then what the batch has come to so far. */
  readonly progress?: (soFar: BatchResult) => void;
}

/** Between two tellings of a batch's progress, ms. */
const progressMs = 5000;

/** A batch in which nothing has happened yet. */
export function emptyBatch(first: number): BatchResult {
  const numbers = { runs: 0, commits: 0, events: 0, excused: 0, third: 0 };
  return { first, ...numbers, virtualMs: 0, realMs: 0, failures: [], counts: [] };
}

/** Runs seeds one after another. */
export function runBatch(options: BatchOptions): BatchResult {
  const started = performance.now();
  const coverage = new Coverage();
  const result = emptyBatch(options.first);
  let toldMs = started;
  const told = (): void => {
    toldMs = performance.now();
    result.realMs = toldMs - started;
    result.counts = [...coverage.counts];
    options.progress?.(result);
  };
  for (let seed = options.first; seed < options.first + options.runs; seed += 1) {
    if (result.failures.length >= options.stopAt || Date.now() >= options.untilMs) break;
    const outcome = simulate(seed, { mutations: options.mutations, coverage });
    result.runs += 1;
    result.commits += outcome.commits;
    result.events += outcome.events;
    result.virtualMs += outcome.virtualMs;
    if (outcome.excused) result.excused += 1;
    if (outcome.third) result.third += 1;
    if (!outcome.ok) {
      result.failures.push({ seed, why: outcome.why });
      options.failed(outcome);
    }
    if (performance.now() - toldMs >= progressMs) told();
  }
  told();
  return result;
}

/** Two batches as one; their real times add up. */
export function mergeBatches(a: BatchResult, b: BatchResult): BatchResult {
  const coverage = new Coverage();
  coverage.merge(a.counts);
  coverage.merge(b.counts);
  return {
    first: Math.min(a.first, b.first),
    runs: a.runs + b.runs,
    commits: a.commits + b.commits,
    events: a.events + b.events,
    excused: a.excused + b.excused,
    third: a.third + b.third,
    virtualMs: a.virtualMs + b.virtualMs,
    realMs: a.realMs + b.realMs,
    failures: [...a.failures, ...b.failures],
    counts: [...coverage.counts],
  };
}
