/** Thrown by {@link assert}: a bug in our code, never bad input. The process must stop. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Stops the process when `condition` is false. Always on, in production too.
 * `invariant` is an id of the room's README, or an id, a colon and a detail.
 */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(invariant);
}

/** Marks the arm of a switch that an exhaustive union never reaches. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`);
}
