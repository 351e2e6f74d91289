// Goal: figures of rare events are those of the list, not of a guess.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { distributionOf, distributionRows } from "./distribution.ts";

test("bench: quantiles of events are values that were seen, nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  const { p50, p90, p99, max, count } = distributionOf(hundred);
  deepStrictEqual([p50, p90, p99, max, count], [50, 90, 99, 100, 100]);
  deepStrictEqual(distributionOf([7]), { ...distributionOf([7]), p50: 7, p99: 7, max: 7 });
  strictEqual(distributionOf([]).p99, 0);
});

test("bench: every event stands in exactly one row of the picture", () => {
  const values = [0, 4.9, 5, 99.9, 100, 999, 1000, 5000];
  const rows = distributionRows(distributionOf(values)).slice(4);
  const counted = rows.reduce((sum, [, text]) => sum + Number(text.trim().split(" ")[0]), 0);
  strictEqual(counted, values.length);
});
