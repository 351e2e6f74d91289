import type { Host } from "#replica/server/host.ts";
import type { Heap } from "./heap.ts";

/** Between two slices of checkpoint work, ms. */
const paceMs = { calm: 1, pressing: 0.2 } as const;

/** Whose timers these are. */
export interface WakesOwner {
  readonly life: number;
  readonly host: Host | null;
  /** Its monotonic clock, and the rate of that against virtual time. */
  readonly nowMs: number;
  readonly rate: number;
  /** Runs something of that life once the process stands still no more. */
  resume(life: number, run: () => void): void;
}

/** Wakes a process for its deadline and for slices of checkpoint work. */
export class NodeWakes {
  private readonly owner: WakesOwner;
  private readonly heap: Heap;
  private wakeMs = Infinity;
  private workDue = false;

  constructor(owner: WakesOwner, heap: Heap) {
    this.owner = owner;
    this.heap = heap;
  }

  /** A process starts: nothing is due. */
  reset(): void {
    this.wakeMs = Infinity;
    this.workDue = false;
  }

  /** After anything that the process did. */
  arm(host: Host): void {
    const { heap, owner } = this;
    const { life } = owner;
    const { deadlineMs } = host;
    const soonest = deadlineMs > owner.nowMs ? heap.nowMs + 0.001 : heap.nowMs;
    const atMs = Math.max(soonest, deadlineMs / owner.rate);
    if (atMs !== Infinity && !(this.wakeMs > heap.nowMs && this.wakeMs <= atMs)) {
      this.wakeMs = atMs;
      heap.at(atMs, () => {
        if (owner.life !== life || this.wakeMs !== atMs) return;
        this.wakeMs = Infinity;
        owner.resume(life, () => this.fire());
      });
    }
    if (!host.workWanted || this.workDue) return;
    this.workDue = true;
    heap.after(host.workPressing ? paceMs.pressing : paceMs.calm, () => {
      owner.resume(life, () => {
        this.workDue = false;
        owner.host?.work();
      });
    });
  }

  private fire(): void {
    const { host, nowMs } = this.owner;
    if (host !== null && nowMs >= host.deadlineMs) host.onTimer();
  }
}
