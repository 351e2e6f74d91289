/** How far the roll of one shard of a fleet is. */
export interface ShardRoll {
  readonly name: string;
  /** Pods that do not run the template that their StatefulSet holds. */
  readonly outdated: number;
  /** Pods that run it already. */
  readonly current: number;
}

/**
 * The shard whose roll must end before `own` may go on, or null when it is its turn. At most one
 * shard of a fleet rolls at a time: one that is half way goes on first, then the lowest name.
 */
export function waitsFor(own: ShardRoll, others: readonly ShardRoll[]): string | null {
  if (own.outdated === 0) return null;
  const rolling = [own, ...others].filter(({ outdated }) => outdated > 0);
  const begun = rolling.filter(({ current }) => current > 0);
  const candidates = begun.length > 0 ? begun : rolling;
  const [first] = candidates.map(({ name }) => name).sort();
  return first === undefined || first === own.name ? null : first;
}
