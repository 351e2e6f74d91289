import { parseArgs } from "node:util";
import { simulate } from "./simulate.ts";

function whole(text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a whole number: ${text}`);
  return value;
}

/** One seed: its outcome, and with --trace its timeline. */
function one(seed: number, trace: boolean, mutations: readonly string[]): number {
  const print = trace ? (line: string) => process.stdout.write(`${line}\n`) : null;
  const outcome = simulate(seed, mutations, print);
  const again = simulate(seed, mutations);
  const same = again.hash === outcome.hash ? "" : " (NOT DETERMINISTIC)";
  const { ok, why, hash, virtualMs, events, commits } = outcome;
  process.stdout.write(`seed ${seed} ${ok ? "ok" : "FAILED"} ${why}\n`);
  process.stdout.write(`trace ${hash}${same}, ${commits} commits, ${events} events, `);
  process.stdout.write(`${(virtualMs / 1000).toFixed(1)} virtual seconds\n`);
  return ok && same === "" ? 0 : 1;
}

/** A batch of seeds; every failure with the command that replays it. */
function many(first: number, runs: number, mutations: readonly string[], stopAt: number): number {
  const started = performance.now();
  let failed = 0;
  let done = 0;
  let virtualMs = 0;
  let commits = 0;
  let excused = 0;
  let third = 0;
  for (let seed = first; seed < first + runs && failed < stopAt; seed += 1) {
    const outcome = simulate(seed, mutations);
    done += 1;
    virtualMs += outcome.virtualMs;
    commits += outcome.commits;
    if (outcome.excused) excused += 1;
    if (outcome.third) third += 1;
    if (outcome.ok) continue;
    failed += 1;
    process.stdout.write(`seed ${seed} FAILED ${outcome.why}\n`);
    process.stdout.write(
      `  replay: npm run sim -- --seed ${seed} --trace (Node ${process.version})\n`,
    );
  }
  const seconds = (performance.now() - started) / 1000;
  const rate = (done / seconds).toFixed(1);
  process.stdout.write(
    `${done} runs, ${failed} failed, ${excused} excused, ${third} third, ${commits} commits, `,
  );
  process.stdout.write(`${(virtualMs / 3_600_000).toFixed(2)} virtual hours, ${rate} runs/s\n`);
  return failed === 0 ? 0 : 1;
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string" },
    first: { type: "string" },
    trace: { type: "boolean", default: false },
    mutate: { type: "string", multiple: true, default: [] },
    "stop-at": { type: "string" },
  },
});
if (values.seed !== undefined) {
  process.exitCode = one(whole(values.seed, 0), values.trace, values.mutate);
} else {
  const runs = whole(values.runs, 100);
  const stopAt = whole(values["stop-at"], 5);
  process.exitCode = many(whole(values.first, 1), runs, values.mutate, stopAt);
}
