import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 11: log time strictly increases and never runs ahead of the fastest wall clock that the
 * cluster ever had, had it gone on (a clock that was set back is still what others agree on for a
 * while), but by the microsecond that each op adds.
 */
export class Timestamps {
  private lastUs = 0;
  /** The fastest clock's lead over virtual time, us. */
  private leadMaxUs = -Infinity;

  /** A machine read its wall clock at this virtual time. */
  clock(wallUs: number, nowMs: number): void {
    this.leadMaxUs = Math.max(this.leadMaxUs, wallUs - nowMs * 1000);
  }

  /** An op was executed for the first time. */
  executed(header: PrepareHeader, nowMs: number): void {
    if (header.timestampUs <= this.lastUs) throw new Violation("11 timestamps: time went back");
    const fastestUs = nowMs * 1000 + this.leadMaxUs;
    if (header.timestampUs > fastestUs + header.op) {
      throw new Violation(`11 timestamps: op ${header.op} is ahead of every clock`);
    }
    this.lastUs = header.timestampUs;
  }
}
