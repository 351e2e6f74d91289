import type { Prng } from "#replica/base/prng.ts";
import type { Heap } from "#test/sim/heap.ts";

/** How bad the network of a run is. */
export interface NetworkOptions {
  readonly delayMinMs: number;
  /** Mean of the exponential part of the one-way delay: reorders. */
  readonly delayMeanMs: number;
  /** Probability that a message is lost. */
  readonly loss: number;
  /** Probability that a message comes twice. */
  readonly duplication: number;
}

/** Paths between replicas and clients: loses, delays, reorders, repeats; can be cut one way. */
export class Network {
  private readonly heap: Heap;
  private readonly prng: Prng;
  private options: NetworkOptions;
  /** Cut paths, as from * 16 + to. */
  private readonly cut = new Set<number>();

  constructor(heap: Heap, prng: Prng, options: NetworkOptions) {
    this.heap = heap;
    this.prng = prng;
    this.options = options;
  }

  /** Changes how bad it is; messages under way keep their fate. */
  configure(options: NetworkOptions): void {
    this.options = options;
  }

  /** Delivers later, maybe twice, maybe never. Numbers below 3 are replicas, above clients. */
  send(from: number, to: number, deliver: () => void): void {
    const { loss, duplication } = this.options;
    if (this.cut.has(from * 64 + to) || this.prng.chance(loss)) return;
    this.heap.after(this.delayMs(), deliver);
    if (!this.prng.chance(duplication)) return;
    // Some copies come very late: in another view.
    this.heap.after(
      this.delayMs() * 3 + (this.prng.chance(0.3) ? 1000 * this.prng.fraction() : 0),
      deliver,
    );
  }

  /** Cuts the path between two replicas, or only one direction of it. */
  partition(from: number, to: number, bothWays: boolean): void {
    this.cut.add(from * 64 + to);
    if (bothWays) this.cut.add(to * 64 + from);
  }

  /** Heals all paths. */
  heal(): void {
    this.cut.clear();
  }

  private delayMs(): number {
    const { delayMinMs, delayMeanMs } = this.options;
    return delayMinMs - delayMeanMs * Math.log(1 - this.prng.fraction());
  }
}
