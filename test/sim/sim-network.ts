import type { Prng } from "#replica/base/prng.ts";
import type { Heap } from "./heap.ts";
import type { NetworkMix } from "./swarm.ts";

/** Paths between machines: lose, delay, reorder, repeat, clog; can be cut, also one way. */
export class SimNetwork {
  private readonly heap: Heap;
  private readonly prng: Prng;
  private readonly count: (what: string) => void;
  private mix: NetworkMix;
  /** Cut paths, as from * 3 + to. */
  private readonly cut = new Set<number>();
  private readonly underWay = new Array<number>(9).fill(0);
  private readonly clogUntilMs = new Array<number>(9).fill(0);

  constructor(heap: Heap, prng: Prng, mix: NetworkMix, count: (what: string) => void) {
    this.heap = heap;
    this.prng = prng;
    this.mix = mix;
    this.count = count;
  }

  /** Changes how bad it is; messages under way keep their fate. */
  configure(mix: NetworkMix): void {
    this.mix = mix;
    this.clogUntilMs.fill(0);
  }

  /** Delivers later, maybe twice, maybe never. */
  send(from: number, to: number, deliver: () => void): void {
    const { loss, duplication, clog, capacity } = this.mix;
    const path = from * 3 + to;
    if (this.cut.has(path)) return;
    if (this.prng.chance(loss)) {
      this.count("loss");
      return;
    }
    if ((this.underWay[path] ?? 0) >= capacity) {
      this.count("path_full");
      return;
    }
    if (clog > 0 && this.prng.chance(clog)) {
      this.count("clog");
      this.clogUntilMs[path] = this.heap.nowMs + 1000 * this.prng.fraction();
    }
    this.carry(path, this.delayMs(), deliver);
    if (!this.prng.chance(duplication)) return;
    this.count("duplicate");
    // Some copies come very late: in another view.
    const late = this.prng.chance(0.3) ? 1000 * this.prng.fraction() : 0;
    if (late > 0) this.count("late_copy");
    this.carry(path, this.delayMs() * 3 + late, deliver);
  }

  /** Cuts the path between two machines, or only one direction of it. */
  partition(from: number, to: number, bothWays: boolean): void {
    this.cut.add(from * 3 + to);
    if (bothWays) this.cut.add(to * 3 + from);
    this.count(bothWays ? "partition" : "partition_one_way");
  }

  /** Heals all paths. */
  heal(): void {
    this.cut.clear();
  }

  /** One-way delay of a message, ms. */
  delayMs(): number {
    const { delayMinMs, delayMeanMs } = this.mix;
    return delayMinMs - delayMeanMs * Math.log(1 - this.prng.fraction());
  }

  private carry(path: number, delayMs: number, deliver: () => void): void {
    const { heap, underWay } = this;
    underWay[path] = (underWay[path] ?? 0) + 1;
    heap.at(Math.max(heap.nowMs, this.clogUntilMs[path] ?? 0) + delayMs, () => {
      underWay[path] = (underWay[path] ?? 0) - 1;
      deliver();
    });
  }
}
