import type { ReplicaIndex } from "#replica/base/brands.ts";
import { replicasCount } from "#replica/base/limits.ts";

/** Drift of a clock while its sample ages, us a ms: 200 ppm. Of quartz, so not configuration. */
const driftUsPerMs = 0.2;

/** An offset of a peer's wall clock from the own one, measured by a ping and its pong. */
export interface ClockSample {
  /** Monotonic time of the pong, ms. */
  readonly atMs: number;
  /** Peer's wall clock less the own one, us, as of the middle of the way. */
  readonly offsetUs: number;
  /** Half of the way there and back, us: the offset lies within this of the truth. */
  readonly errorUs: number;
}

/** Bounds of the cluster's time less the own wall clock, us. */
export interface ClockBounds {
  readonly lowUs: number;
  readonly highUs: number;
}

/**
 * A sample from a pong, good for `lifeMs`: both times by the own monotonic clock, `wallUs` the own
 * wall clock at receipt. Null: the times cannot be, or the way took longer than a sample lives.
 */
export function sampleOf(
  sentMs: number,
  receivedMs: number,
  peerUs: number,
  wallUs: number,
  lifeMs: number,
): ClockSample | null {
  // Whole milliseconds travel, so the way may look up to one shorter than it was.
  const wayUs = (receivedMs - sentMs + 1) * 1000;
  if (wayUs <= 0 || wayUs > lifeMs * 1000) return null;
  const offsetUs = peerUs + wayUs / 2 - wallUs;
  return { atMs: receivedMs, offsetUs, errorUs: wayUs / 2 };
}

/**
 * Marzullo's agreement (1984): the smallest interval that the most sources share, each source an
 * interval. Null when fewer than `least` share any point. Pure; few sources.
 */
export function marzullo(sources: readonly ClockBounds[], least: number): ClockBounds | null {
  let most = 0;
  let lowUs = 0;
  let highUs = 0;
  // The best interval begins where some source does. Each ping and batch asks, so nothing is made.
  for (const { lowUs: fromUs } of sources) {
    let count = 0;
    let toUs = Infinity;
    for (const other of sources) {
      // Where one ends and another begins they still meet.
      if (other.lowUs > fromUs) toUs = Math.min(toUs, other.lowUs);
      else if (other.highUs >= fromUs) {
        count += 1;
        toUs = Math.min(toUs, other.highUs);
      }
    }
    const less = toUs - fromUs - (highUs - lowUs);
    const better = less < 0 || (less === 0 && fromUs < lowUs);
    if (count < most || (count === most && !better)) continue;
    most = count;
    lowUs = fromUs;
    highUs = toUs;
  }
  return most > 0 && most >= least ? { lowUs, highUs } : null;
}

/**
 * The cluster's clock as one replica sees it (rule A10): its own wall clock, held within what at
 * least two of three clocks agree on, so that one that is set wrong moves nothing.
 */
export class ClusterClock {
  private readonly replica: ReplicaIndex;
  private readonly sampleLifeMs: number;
  private readonly toleranceUs: number;
  private readonly samples: (ClockSample | null)[] = [null, null, null];

  /**
   * A sample is good for `sampleLifeMs`; a better one takes its place before. Each clock may be
   * `toleranceMs` from the truth beside what its sample's travel hides.
   */
  constructor(replica: ReplicaIndex, sampleLifeMs: number, toleranceMs: number) {
    this.replica = replica;
    this.sampleLifeMs = sampleLifeMs;
    this.toleranceUs = toleranceMs * 1000;
  }

  /** Takes a sample; one with a longer way than a fresh one is not taken. */
  learn(peer: ReplicaIndex, sample: ClockSample): void {
    const before = this.samples[peer] ?? null;
    const fresh = before !== null && sample.atMs - before.atMs < this.sampleLifeMs / 4;
    if (fresh && before.errorUs < sample.errorUs) return;
    this.samples[peer] = sample;
  }

  /** Forgets everything: the own wall clock was set, so that no offset holds any more. */
  forget(): void {
    this.samples.fill(null);
  }

  /** What two of three agree on, relative to the own wall clock; null = not synchronised. */
  bounds(nowMs: number): ClockBounds | null {
    const sources: ClockBounds[] = [];
    for (let i = 0; i < replicasCount; i += 1) {
      const own = { atMs: nowMs, offsetUs: 0, errorUs: 0 };
      const sample = i === this.replica ? own : (this.samples[i] ?? null);
      if (sample === null || nowMs - sample.atMs > this.sampleLifeMs) continue;
      const agedUs = (nowMs - sample.atMs) * driftUsPerMs;
      const errorUs = sample.errorUs + this.toleranceUs + agedUs;
      sources.push({ lowUs: sample.offsetUs - errorUs, highUs: sample.offsetUs + errorUs });
    }
    return marzullo(sources, 2);
  }

  /** The cluster's time, whole us, by the own wall clock; null = not synchronised. */
  now(nowMs: number, wallUs: number): number | null {
    const bounds = this.bounds(nowMs);
    if (bounds === null) return null;
    const offsetUs = Math.min(Math.max(0, bounds.lowUs), bounds.highUs);
    return Math.floor(wallUs + offsetUs);
  }
}
