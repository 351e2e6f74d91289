/** Something that happens at a moment of virtual time. */
export interface Scheduled {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** Binary heap of events in order of (time, sequence): the simulator's only clock. */
export class Heap {
  nowMs = 0;
  private readonly items: Scheduled[] = [];
  private sequence = 0;

  /** Events that wait. */
  get count(): number {
    return this.items.length;
  }

  /** Runs `run` at `atMs`, not before now; events of one moment run in the order of scheduling. */
  at(atMs: number, run: () => void): void {
    this.sequence += 1;
    const item = { atMs: Math.max(atMs, this.nowMs), sequence: this.sequence, run };
    const { items } = this;
    let index = items.length;
    items.push(item);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !before(item, above)) break;
      items[index] = above;
      index = parent;
    }
    items[index] = item;
  }

  /** Runs `run` after a delay. */
  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const top = this.items[0];
    if (top === undefined) return false;
    this.removeTop();
    this.nowMs = top.atMs;
    top.run();
    return true;
  }

  private removeTop(): void {
    const { items } = this;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = items[child];
      if (left === undefined) break;
      const right = items[child + 1];
      let least = left;
      if (right !== undefined && before(right, left)) {
        child += 1;
        least = right;
      }
      if (!before(least, last)) break;
      items[index] = least;
      index = child;
    }
    items[index] = last;
  }
}
