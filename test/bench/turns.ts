/**
 * Measures turns by the CPU time of this thread, which other processes do not lengthen; keeps the
 * event loop spinning meanwhile.
 */
export class Turns {
  private longestMs = 0;
  private last = process.threadCpuUsage();
  private running = true;

  constructor() {
    this.turn();
  }

  private turn(): void {
    const { user, system } = process.threadCpuUsage(this.last);
    this.last = process.threadCpuUsage();
    this.longestMs = Math.max(this.longestMs, (user + system) / 1000);
    if (this.running) setImmediate(() => this.turn());
  }

  /** The longest turn so far, ms; no more is measured. */
  end(): number {
    this.running = false;
    return Number(this.longestMs.toFixed(1));
  }
}
