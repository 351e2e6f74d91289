import { BoundedMap } from "#replica/base/bounded-map.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { Rate } from "./token-bucket.ts";

/**
 * One bucket a key (a user, an address, a tenant). Bounded: when the table is full, buckets that
 * have filled up again are forgotten; when none has, new keys share one bucket.
 */
export class KeyedBuckets {
  private readonly rate: Rate;
  private readonly buckets: BoundedMap<string, TokenBucket>;
  private readonly overflow: TokenBucket;
  private sweptMs = Number.NEGATIVE_INFINITY;

  /** `keysMax`: buckets held at most. */
  constructor(rate: Rate, keysMax: number, nowMs: number) {
    this.rate = rate;
    this.buckets = new BoundedMap(keysMax);
    this.overflow = new TokenBucket(rate, nowMs);
  }

  /** Takes one token of a key: 0, or milliseconds to wait. */
  take(key: string, nowMs: number): number {
    return this.bucket(key, nowMs).take(1, nowMs);
  }

  /** Buckets held. */
  get count(): number {
    return this.buckets.count;
  }

  private bucket(key: string, nowMs: number): TokenBucket {
    const found = this.buckets.get(key);
    if (found !== undefined) return found;
    const made = new TokenBucket(this.rate, nowMs);
    if (this.buckets.trySet(key, made)) return made;
    this.sweep(nowMs);
    return this.buckets.trySet(key, made) ? made : this.overflow;
  }

  private sweep(nowMs: number): void {
    if (nowMs - this.sweptMs < 1000) return;
    this.sweptMs = nowMs;
    for (const [key, bucket] of this.buckets.entries()) {
      if (bucket.full(nowMs)) this.buckets.delete(key);
    }
  }
}
