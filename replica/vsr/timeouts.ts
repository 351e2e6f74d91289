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

  /** Starts or moves a timer. */
  set(name: TimerName, deadlineMs: number): void {
    this.at.set(name, deadlineMs);
  }

  /** Stops a timer. */
  clear(name: TimerName): void {
    this.at.set(name, Infinity);
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
    let next = Infinity;
    for (const deadline of this.at.values()) if (deadline < next) next = deadline;
    return next;
  }

  /** Takes one timer that is due, stops it, and names it; null when none is. */
  due(nowMs: number): TimerName | null {
    for (const [name, deadline] of this.at) {
      if (deadline > nowMs) continue;
      this.at.set(name, Infinity);
      return name;
    }
    return null;
  }
}
