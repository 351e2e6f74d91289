/** Durations of one kind of event, ms, as people and programs read them. */
export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** Ascending. */
  readonly sorted: readonly number[];
}

/** Columns of the longest bar. */
const barColumns = 40;
/** Upper ends of the rows of a picture, ms; the last row is what is longer. */
const edgesMs = [5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000];

/** The nearest-rank quantile of ascending values; 0 when there are none. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

/** Sorts and sums up. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? 0,
    sorted,
  };
}

/** Rows of a table: quantiles, and a bar for each range that holds something. */
export function distributionRows(found: Distribution): readonly (readonly [string, string])[] {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const rows: [string, string][] = [
    ["P50", ms(found.p50)],
    ["P90", ms(found.p90)],
    ["P99", ms(found.p99)],
    ["max", ms(found.max)],
  ];
  let low = 0;
  const ranges = [...edgesMs, Number.POSITIVE_INFINITY].map((high) => {
    const count = found.sorted.filter((value) => value >= low && value < high).length;
    const name = high === Number.POSITIVE_INFINITY ? `from ${low} ms` : `${low} to ${high} ms`;
    low = high;
    return { name, count };
  });
  const most = Math.max(1, ...ranges.map(({ count }) => count));
  for (const { name, count } of ranges) {
    if (count === 0) continue;
    const bar = "#".repeat(Math.ceil((count / most) * barColumns));
    rows.push([name, `${String(count).padStart(4)} ${bar}`]);
  }
  return rows;
}
