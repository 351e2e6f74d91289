import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/** What agreement of two clocks may be off, us: half of the way of the oldest sample, and drift. */
const toleranceUs = 30_000_000;

/**
 * Checker 11: log time strictly increases and never runs ahead of what two of the three wall clocks
 * ever showed, had they gone on (a clock that was set back is still what others agree on for a
 * while), so that one that is set far ahead moves nothing (rule A10).
 */
export class Timestamps {
  private lastUs = 0;
  /** The lead of each machine's clock over virtual time at its most, us. */
  private readonly leadMaxUs = [-Infinity, -Infinity, -Infinity];

  /** A machine read its wall clock at this virtual time. */
  clock(replica: number, wallUs: number, nowMs: number): void {
    const lead = wallUs - nowMs * 1000;
    if (lead > (this.leadMaxUs[replica] ?? 0)) this.leadMaxUs[replica] = lead;
  }

  /** An op was executed for the first time. */
  executed(header: PrepareHeader, nowMs: number): void {
    if (header.timestampUs <= this.lastUs) throw new Violation("11 timestamps: time went back");
    const [a = 0, b = 0, c = 0] = this.leadMaxUs;
    const second = Math.max(Math.min(a, b), Math.min(b, c), Math.min(a, c));
    const agreedUs = nowMs * 1000 + second;
    if (header.timestampUs > agreedUs + toleranceUs + header.op) {
      throw new Violation(`11 timestamps: op ${header.op} is ahead of any two clocks`);
    }
    this.lastUs = header.timestampUs;
  }
}
