/** Value of a series in Prometheus' text format; `series`: name and labels as printed; 0: none. */
export function metricOf(text: string, series: string): number {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
