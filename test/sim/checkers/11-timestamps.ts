import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 11: log time strictly increases and never runs ahead of the fastest wall clock that the
 * cluster ever had, but by the microsecond that each op adds.
 */
export class Timestamps {
  private lastUs = 0;
  private wallMaxUs = 0;

  /** A machine read its wall clock. */
  clock(wallUs: number): void {
    if (wallUs > this.wallMaxUs) this.wallMaxUs = wallUs;
  }

  /** An op was executed for the first time. */
  executed(header: PrepareHeader): void {
    if (header.timestampUs <= this.lastUs) throw new Violation("11 timestamps: time went back");
    if (header.timestampUs > this.wallMaxUs + header.op) {
      throw new Violation(`11 timestamps: op ${header.op} is ahead of every clock`);
    }
    this.lastUs = header.timestampUs;
  }
}
