import type { Checksum, Op } from "#replica/base/brands.ts";
import { ScrubPace } from "./scrub-pace.ts";
import { ScrubRound, type ScrubSizes, type ScrubTarget } from "./scrub-round.ts";

/** What a look at one place found: bytes read, and places that were not as they must be. */
export interface ScrubFinding {
  readonly bytes: number;
  readonly faults: number;
}

/** A slot that was clean and is not what it says any more. */
export interface SlotFault {
  readonly op: Op;
  readonly checksum: Checksum;
}

/** What a storage lets its scrubber look at; each call completes later, once. */
export interface ScrubStorage {
  readonly scrubSizes: ScrubSizes;
  /** One copy of the superblock; a damaged one is written again as it was. */
  scrubSuperblock(copy: number, done: (finding: ScrubFinding) => void): void;
  /** Both copies of a sector of identifiers; a damaged one is written again. */
  scrubSector(sector: number, done: (finding: ScrubFinding) => void): void;
  /** True for a slot that holds a prepare known to be whole: there is something to look at. */
  holdsPrepare(slot: number): boolean;
  /** Such a slot; a damaged one is marked and named. */
  scrubSlot(slot: number, done: (finding: ScrubFinding, fault: SlotFault | null) => void): void;
  /** Both tables of a segment; a damaged one is written again. The blocks it has. */
  scrubTable(id: string, done: (finding: ScrubFinding, blocks: number) => void): void;
  listSegments(done: (ids: readonly string[]) => void): void;
}

/** The world of a scrubber. */
export interface ScrubPorts {
  readonly storage: ScrubStorage;
  readonly nowMs: () => number;
  /** Reads a block and has a damaged one repaired from a peer; the bytes read, damaged or not. */
  readonly readBlock: (id: string, block: number, done: (finding: ScrubFinding) => void) => void;
  /** The log repairs it from a peer. */
  readonly slotFault: (fault: SlotFault) => void;
}

/** Kinds of place, for metrics. */
export const scrubZones = ["superblock", "identifiers", "prepares", "segments"] as const;
/** A kind of place. */
export type ScrubZone = (typeof scrubZones)[number];

/** Counters since the start. */
export interface ScrubCounts {
  bytes: number;
  rounds: number;
  readonly faults: Record<ScrubZone, number>;
}

/** Between two rounds at least, ms: a small volume is not read all the time. */
export const roundPauseMs = 1_000;

const zoneOf = {
  superblock: "superblock",
  sector: "identifiers",
  slot: "prepares",
  segment: "segments",
} as const;

/**
 * Reads what lies on the disk, a slice at a time and at a given pace, so that damage is found while
 * there are peers to repair it from. A slice is one copy, sector, slot or block: at most 128 KiB.
 */
export class Scrubber {
  readonly counts: ScrubCounts = {
    bytes: 0,
    rounds: 0,
    faults: { superblock: 0, identifiers: 0, prepares: 0, segments: 0 },
  };
  private readonly ports: ScrubPorts;
  private readonly pace: ScrubPace;
  private round: ScrubRound;
  private busy = false;
  private notBeforeMs = 0;

  /** `bytesPerS`: read a second at most. */
  constructor(ports: ScrubPorts, bytesPerS: number) {
    this.ports = ports;
    this.pace = new ScrubPace(bytesPerS, ports.nowMs());
    this.round = new ScrubRound(ports.storage.scrubSizes);
  }

  /** When {@link tick} is wanted, monotonic ms; Infinity while a slice is under way. */
  get deadlineMs(): number {
    return this.busy ? Number.POSITIVE_INFINITY : Math.max(this.notBeforeMs, this.pace.dueMs);
  }

  /** Begins the next slice if it is due; `done` when its result has been dealt with. */
  tick(done: () => void): void {
    if (this.ports.nowMs() < this.deadlineMs) {
      done();
      return;
    }
    let { target } = this.round;
    while (target?.kind === "slot" && !this.ports.storage.holdsPrepare(target.slot)) {
      this.round.done();
      target = this.round.target;
    }
    if (target === null) {
      this.counts.rounds += 1;
      this.round = new ScrubRound(this.ports.storage.scrubSizes);
      this.notBeforeMs = this.ports.nowMs() + roundPauseMs;
      done();
      return;
    }
    this.busy = true;
    this.look(target, done);
  }

  private look(target: ScrubTarget, done: () => void): void {
    const { storage, readBlock, slotFault } = this.ports;
    const settle = (finding: ScrubFinding, blocks = 0): void => {
      if (target.kind !== "list") this.counts.faults[zoneOf[target.kind]] += finding.faults;
      this.counts.bytes += finding.bytes;
      this.pace.spent(finding.bytes, this.ports.nowMs());
      this.round.done(blocks);
      this.busy = false;
      done();
    };
    switch (target.kind) {
      case "superblock":
        storage.scrubSuperblock(target.copy, settle);
        return;
      case "sector":
        storage.scrubSector(target.sector, settle);
        return;
      case "slot":
        storage.scrubSlot(target.slot, (finding, fault) => {
          settle(finding);
          if (fault !== null) slotFault(fault);
        });
        return;
      case "list":
        storage.listSegments((ids) => {
          this.round.segments(ids);
          this.busy = false;
          done();
        });
        return;
      case "segment":
        if (target.block === -1) storage.scrubTable(target.id, settle);
        else readBlock(target.id, target.block, settle);
        return;
      default:
        target satisfies never;
    }
  }
}
