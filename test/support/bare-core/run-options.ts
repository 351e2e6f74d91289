import { Prng } from "#replica/base/prng.ts";
import type { NetworkOptions } from "./network.ts";

/** Everything that a seed decides about a run before it starts (a swarm: each run its own mix). */
export interface RunOptions {
  readonly slots: number;
  readonly clients: number;
  readonly requestsEach: number;
  readonly window: number;
  /** Prepares in flight up to which the primary makes batches, and their linger. */
  readonly depth: number;
  readonly lingerMs: number;
  readonly network: NetworkOptions;
  readonly diskMs: { readonly min: number; readonly mean: number };
  /** Mean time between two faults of a kind, ms; Infinity = never in this run. */
  readonly crashEveryMs: number;
  readonly partitionEveryMs: number;
  readonly pauseEveryMs: number;
  readonly rotEveryMs: number;
  readonly transferEveryMs: number;
  readonly powerLossEveryMs: number;
  /** Probability that a crash hits while a machine is down already. */
  readonly doubleCrash: number;
  /** Probability that the identifier decays with the body. */
  readonly rotIdentifier: number;
  readonly readFailure: number;
  /**
   * The one machine whose disk decays, anywhere; or -1: every slot has a victim of its own, and no
   * machine loses what would make its head uncertain (the fault atlas: loss is never legitimate).
   */
  readonly rotMachine: number;
  readonly downMeanMs: number;
  /** Virtual time of the safety phase at most, ms. */
  readonly safetyMs: number;
  /** Virtual time in which the healed core must finish, ms. */
  readonly livenessMs: number;
}

/** The mix of a seed. */
export function runOptions(seed: number): RunOptions {
  const prng = new Prng(seed);
  const every = (probability: number, ...means: number[]): number => {
    const mean = prng.pick(means);
    return prng.chance(probability) ? mean : Infinity;
  };
  return {
    slots: 32,
    clients: prng.between(2, 6),
    requestsEach: prng.between(16, 36),
    window: prng.between(1, 8),
    depth: prng.pick([1, 2, 8, 8]),
    lingerMs: prng.pick([0, 1]),
    network: {
      delayMinMs: prng.pick([0.05, 0.5, 2]),
      delayMeanMs: prng.pick([0.1, 1, 4, 15]),
      loss: prng.pick([0, 0, 0.01, 0.05, 0.2]),
      duplication: prng.pick([0, 0.01, 0.2, 0.5]),
    },
    diskMs: { min: 0.1, mean: prng.pick([0.2, 1, 5, 12]) },
    crashEveryMs: every(0.75, 150, 400, 1200),
    partitionEveryMs: every(0.5, 200, 600),
    pauseEveryMs: every(0.3, 300, 800),
    rotEveryMs: every(0.4, 50, 300),
    transferEveryMs: every(0.35, 15, 40, 200, 700),
    powerLossEveryMs: every(0.2, 900, 2500),
    doubleCrash: prng.pick([0, 0.3, 1]),
    rotIdentifier: prng.pick([0, 0, 0.2]),
    readFailure: prng.pick([0, 0, 0.02]),
    rotMachine: prng.between(-1, 2),
    downMeanMs: prng.pick([20, 150, 600]),
    safetyMs: 6000,
    livenessMs: 20_000,
  };
}
