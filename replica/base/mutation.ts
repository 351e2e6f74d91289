const enabled = new Set<string>();

/**
 * True when the simulator has switched on this deliberate bug (a mutation canary). Call it only as
 * `(typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("id")`, so that bundles drop it.
 */
export function mutated(id: string): boolean {
  return enabled.size > 0 && enabled.has(id);
}

/** For the simulator only: switches on exactly these canaries; an empty list switches all off. */
export function setMutations(ids: readonly string[]): void {
  enabled.clear();
  for (const id of ids) enabled.add(id);
}
