import type { Host } from "./host.ts";

/**
 * Between two slices of checkpoint work, ms, so that requests wait for at most one slice. Merges
 * must keep up with 50,000 messages a second, or checkpoints would come to wait for them.
 */
const paceMs = 1;
/**
 * After a slice the process sleeps this long, ms. Otherwise, with fewer cores than processes, a
 * peer or an edge that has a message to handle gets the core only when the kernel's time slice
 * ends, up to 4 ms later; in which there is room for many slices.
 */
const restMs = 0.1;
/** Nobody ever wakes who waits here. */
const restPlace = new Int32Array(new SharedArrayBuffer(4));

/** Gives a host its timer and its turns of background work: one timer, one pending slice. */
export class EventLoop {
  private host: Host | null = null;
  private timer: NodeJS.Timeout | null = null;
  private timerAtMs = Number.POSITIVE_INFINITY;
  /** Takes back the slice that is scheduled; null when none is. */
  private unschedule: (() => void) | null = null;

  /** From now on the host gets its turns. */
  start(host: Host): void {
    this.host = host;
    host.start();
    this.wake();
  }

  /** No further turns. */
  stop(): void {
    this.host = null;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.unschedule?.();
    this.unschedule = null;
  }

  /** The host's deadline or its wish for work may have changed. */
  readonly wake = (): void => {
    const { host } = this;
    if (host === null) return;
    this.arm(host);
    if (!host.workWanted || this.unschedule !== null) return;
    if (host.workPressing) {
      const slice = setImmediate(() => this.work());
      this.unschedule = () => clearImmediate(slice);
    } else {
      const slice = setTimeout(() => this.work(), paceMs);
      this.unschedule = () => clearTimeout(slice);
    }
  };

  private arm(host: Host): void {
    const deadlineMs = host.deadlineMs;
    // A later deadline needs no new timer: the old one fires, finds nothing due and arms again.
    if (deadlineMs >= this.timerAtMs) return;
    if (this.timer !== null) clearTimeout(this.timer);
    const waitMs = Math.ceil(Math.max(0, Math.min(deadlineMs - performance.now(), 60_000)));
    this.timerAtMs = deadlineMs;
    this.timer = setTimeout(() => this.fire(), waitMs);
  }

  private fire(): void {
    this.timer = null;
    this.timerAtMs = Number.POSITIVE_INFINITY;
    const { host } = this;
    if (host === null) return;
    if (performance.now() >= host.deadlineMs) host.onTimer();
    this.wake();
  }

  private work(): void {
    this.unschedule = null;
    this.host?.work();
    Atomics.wait(restPlace, 0, 0, restMs);
    this.wake();
  }
}
