import { mutated } from "#replica/base/mutation.ts";
import { sampleOf } from "./cluster-clock.ts";
import type { Ping } from "./standing.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

/**
 * A wall clock that moves by more than this against the monotonic one was set, us. A smaller step
 * is within every tolerance that a configuration may have.
 */
const stepUs = 100_000;

/** The cluster's time now, us; null = this replica's clock agrees with no other (rule A10). */
export function clusterTime(state: State): number | null {
  const own = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("trust_own_clock");
  if (own) return Math.floor(state.wallUs);
  return state.clock.now(state.nowMs, state.wallUs);
}

/** At each event: offsets that were measured against a clock that was set since are void. */
export function watchClock(state: State): void {
  const baseUs = state.wallUs - state.nowMs * 1000;
  const moved = Math.abs(baseUs - state.wallBaseUs) > stepUs;
  if (moved && state.wallBaseUs !== -Infinity) state.clock.forget();
  // Slow drift is followed; what counts is a jump between two looks.
  state.wallBaseUs = baseUs;
}

/** A pong brings back this replica's own time beside the peer's wall clock. */
export function learnClock(state: State, message: Ping): void {
  if (message.kind !== "pong") return;
  const { monotonicMs, wallClockUs, from } = message;
  const { clockSampleMs } = state.timing;
  const sample = sampleOf(monotonicMs, state.nowMs, wallClockUs, state.wallUs, clockSampleMs);
  if (sample !== null) state.clock.learn(from, sample);
}
