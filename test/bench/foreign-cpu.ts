import { readFileSync } from "node:fs";

/** Ticks of /proc a second (USER_HZ), fixed on Linux. */
const ticksPerSecond = 100;

function busyTicks(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user + nice + system + irq + softirq + steal;
}

function ticksOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  } catch {
    return 0;
  }
}

/** CPU that processes other than the bench's own used between two looks, in cores. */
export class ForeignCpu {
  private readonly own: () => readonly number[];
  private busy = 0;
  private ours = 0;
  private atMs = 0;

  /** `own`: process ids of the bench, its loader and the replicas. */
  constructor(own: () => readonly number[]) {
    this.own = own;
    this.start();
  }

  /** Begins a new interval. */
  start(): void {
    this.busy = busyTicks();
    this.ours = this.ownTicks();
    this.atMs = performance.now();
  }

  /** Cores that others used since {@link start}; 0.06 is 6 % of one core. */
  cores(): number {
    const seconds = (performance.now() - this.atMs) / 1000;
    const foreign = busyTicks() - this.busy - (this.ownTicks() - this.ours);
    return Math.max(0, foreign / ticksPerSecond / seconds);
  }

  /** Cores that the given processes used since {@link start}. */
  ownCores(): number {
    const seconds = (performance.now() - this.atMs) / 1000;
    return (this.ownTicks() - this.ours) / ticksPerSecond / seconds;
  }

  private ownTicks(): number {
    return this.own().reduce((sum, pid) => sum + ticksOf(pid), 0);
  }
}
