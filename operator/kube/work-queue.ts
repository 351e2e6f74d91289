import { assert } from "#replica/base/assert.ts";
import { TokenBucket } from "./token-bucket.ts";

const failureBaseMs = 5;
const failureMaxMs = 1_000_000;

/**
 * Keys to be worked on, each at most once at a time. A key that is added while it is being worked
 * on is worked on once more afterwards, however often it was added: controller-runtime's dirty and
 * processing sets. Failures wait 5 ms, doubled each time, to 1,000 s, and 10 a second in all.
 */
export class WorkQueue {
  private readonly ready: string[] = [];
  private readonly dirty = new Set<string>();
  private readonly processing = new Set<string>();
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<
    string,
    { readonly timer: NodeJS.Timeout; readonly atMs: number }
  >();
  private readonly bucket = new TokenBucket(10, 100);
  private readonly waiting: ((key: string | undefined) => void)[] = [];
  private closed = false;

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.ready.length;
  }

  /** Wants the key worked on soon. */
  add(key: string): void {
    if (this.closed || this.dirty.has(key)) return;
    this.dirty.add(key);
    if (this.processing.has(key)) return;
    this.ready.push(key);
    this.dispatch();
  }

  /** Wants the key worked on after a while; of several such wishes the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.closed) return;
    const atMs = performance.now() + delayMs;
    const pending = this.timers.get(key);
    if (pending !== undefined && pending.atMs <= atMs) return;
    clearTimeout(pending?.timer);
    const timer = setTimeout(() => {
      this.timers.delete(key);
      this.add(key);
    }, delayMs);
    this.timers.set(key, { timer, atMs });
  }

  /** Wants the key worked on again after a failure. Returns the wait in milliseconds. */
  addAfterFailure(key: string): number {
    const count = this.failures.get(key) ?? 0;
    this.failures.set(key, count + 1);
    const ownMs = Math.min(failureMaxMs, failureBaseMs * 2 ** Math.min(count, 30));
    const waitMs = Math.max(ownMs, this.bucket.reserve());
    this.addAfter(key, waitMs);
    return waitMs;
  }

  /** Forgets the failures of a key. */
  forget(key: string): void {
    this.failures.delete(key);
  }

  /** The next key, or undefined once closed. The caller must call {@link done} with it. */
  next(): Promise<string | undefined> {
    if (this.closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.dispatch();
    });
  }

  /** The work on a key has ended. */
  done(key: string): void {
    assert(this.processing.delete(key), "KUB-02");
    if (this.dirty.has(key) && !this.closed) {
      this.ready.push(key);
      this.dispatch();
    }
  }

  /** Gives out nothing any more. */
  close(): void {
    this.closed = true;
    for (const { timer } of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    for (const resolve of this.waiting.splice(0)) resolve(undefined);
  }

  private dispatch(): void {
    while (this.ready.length > 0 && this.waiting.length > 0) {
      const key = this.ready.shift();
      const resolve = this.waiting.shift();
      if (key === undefined || resolve === undefined) return;
      assert(!this.processing.has(key), "KUB-02");
      this.dirty.delete(key);
      this.processing.add(key);
      resolve(key);
    }
  }
}
