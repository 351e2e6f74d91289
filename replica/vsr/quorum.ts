import { assert } from "#replica/base/assert.ts";
import { replicaFrom, viewFrom } from "#replica/base/brands.ts";
import type { ReplicaIndex, View } from "#replica/base/brands.ts";
import { replicasCount } from "#replica/base/limits.ts";

/** Primary of a view (VRR 2012, section 4). */
export function primaryOf(view: number): ReplicaIndex {
  return replicaFrom(view % replicasCount);
}

/** Smallest view above `view` that `target` leads (rule A8). */
export function nextViewOf(view: View, target: ReplicaIndex): View {
  const distance = (target - (view % replicasCount) + replicasCount) % replicasCount;
  return viewFrom(view + (distance === 0 ? replicasCount : distance));
}

/** Second highest of three counters: what two of three replicas have reached. */
export function secondHighest(values: readonly number[]): number {
  assert(values.length === replicasCount, "VSR-01: one value a replica");
  const sorted = values.toSorted((a, b) => b - a);
  return sorted[1] ?? 0;
}

/** The other replicas of the shard. */
export function othersOf(replica: ReplicaIndex): readonly ReplicaIndex[] {
  return [replicaFrom((replica + 1) % 3), replicaFrom((replica + 2) % 3)];
}

/** A set of replicas as three bits. */
export class ReplicaSet {
  private bits = 0;

  /** Adds a replica; adding twice changes nothing. */
  add(replica: ReplicaIndex): void {
    this.bits |= 1 << replica;
  }

  /** Takes a replica out. */
  remove(replica: ReplicaIndex): void {
    this.bits &= ~(1 << replica);
  }

  /** True when it holds the replica. */
  has(replica: ReplicaIndex): boolean {
    return (this.bits & (1 << replica)) !== 0;
  }

  /** Replicas held. */
  get count(): number {
    return (this.bits & 1) + ((this.bits >> 1) & 1) + ((this.bits >> 2) & 1);
  }

  /** Empties it. */
  clear(): void {
    this.bits = 0;
  }
}
