// The histogram against exact percentiles of the same samples.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { Histogram } from "./histogram.ts";

test("bench: quantiles are within 1.6 % of the exact ones, and never below them", () => {
  const prng = new Prng(7);
  const histogram = new Histogram();
  const samples: number[] = [];
  for (let i = 0; i < 20_000; i += 1) {
    const sample = Math.floor(2 ** (prng.fraction() * 24));
    samples.push(sample);
    histogram.record(sample);
  }
  samples.sort((a, b) => a - b);
  for (const q of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = samples[Math.ceil(q * samples.length) - 1] ?? 0;
    const read = histogram.quantile(q);
    ok(read >= exact && read <= exact * 1.016 + 1, `${q}: ${read} for ${exact}`);
  }
  strictEqual(histogram.count, samples.length);
  strictEqual(histogram.max, samples.at(-1));
  const inBuckets = histogram.buckets().reduce((sum, [, count]) => sum + count, 0);
  strictEqual(inBuckets, samples.length);
});
