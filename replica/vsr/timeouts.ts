/** Names of a replica's timers. */
export type TimerName =
  /** Primary: the next heartbeat. */
  | "heartbeat"
  /** Backup: the primary is suspected then. */
  | "suspect"
  /** Repeats START_VIEW_CHANGE, DO_VIEW_CHANGE or GET_VIEW. */
  | "resend"
  /** A view change has taken too long. */
  | "viewChange"
  | "ping"
  | "repair"
  /** Primary: prepares without acks go again. */
  | "prepare"
  /** Primary: the linger of the next batch ends. */
  | "batch"
  | "transfer"
  | "sync";

const names: readonly TimerName[] = [
  "heartbeat",
  "suspect",
  "resend",
  "viewChange",
  "ping",
  "repair",
  "prepare",
  "batch",
  "transfer",
  "sync",
];

/** Deadlines in monotonic milliseconds; Infinity = not running. No ticks. */
export class Deadlines {
  private readonly at = new Map<TimerName, number>(names.map((name) => [name, Infinity]));
  /** The earliest deadline; each step asks twice, and most steps move no timer. */
  private earliestMs = Infinity;
  /** The earliest one was moved or stopped: all must be looked at. */
  private stale = false;

  /** Starts or moves a timer. */
  set(name: TimerName, deadlineMs: number): void {
    if (this.at.get(name) === this.earliestMs) this.stale = true;
    if (deadlineMs < this.earliestMs) this.earliestMs = deadlineMs;
    this.at.set(name, deadlineMs);
  }

  /** Stops a timer. */
  clear(name: TimerName): void {
    this.set(name, Infinity);
  }

  /** When it fires; Infinity = not running. */
  get(name: TimerName): number {
    return this.at.get(name) ?? Infinity;
  }

  /** True when it runs. */
  running(name: TimerName): boolean {
    return this.get(name) !== Infinity;
  }

  /** The earliest deadline of all. */
  get nextMs(): number {
    if (!this.stale) return this.earliestMs;
    this.stale = false;
    this.earliestMs = Infinity;
    for (const deadline of this.at.values()) {
      if (deadline < this.earliestMs) this.earliestMs = deadline;
    }
    return this.earliestMs;
  }

  /** Takes one timer that is due, stops it, and names it; null when none is. */
  due(nowMs: number): TimerName | null {
    if (this.nextMs > nowMs) return null;
    for (const [name, deadline] of this.at) {
      if (deadline > nowMs) continue;
      this.clear(name);
      return name;
    }
    return null;
  }
}
