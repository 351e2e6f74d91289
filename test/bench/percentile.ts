/** The value at a share of an ascending list, rounded to 0.01. */
export function percentile(ascending: readonly number[], share: number): number {
  const at = Math.min(ascending.length - 1, Math.floor(ascending.length * share));
  return Number((ascending[at] ?? 0).toFixed(2));
}
