import { assert } from "#replica/base/assert.ts";
import { diskUnitBytes, pipelineMax } from "#replica/base/limits.ts";
import { identifiersPerSector, sectorOffset, sectorsCount } from "#replica/journal/geometry.ts";
import {
  decodeSector,
  encodeSector,
  identifierAbsent,
  type SectorScan,
  type StoredIdentifier,
} from "#replica/journal/identifier-sector.ts";
import { judgeHeader } from "#replica/journal/judge-header.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { BufferPool } from "./buffer-pool.ts";
import type { ScrubFinding } from "./scrubber.ts";
import type { Volume } from "./volume.ts";

const zone = { kind: "identifiers" } as const;
/** Sectors written at once. */
const writesMax = 4;
/** Dirty sectors that are written without waiting for the group to grow. */
const groupMax = 16;
/** Changes that are: far fewer than a prepare may be ahead of the identifiers (STO-14). */
const changesMax = pipelineMax;

/** Where the newest durable copy of a sector lies. */
export interface SectorPlace {
  readonly sequence: number;
  readonly copy: 0 | 1;
}

interface Sector {
  sequence: number;
  copy: 0 | 1;
  /** Grows with every change of an entry; `written`: the changes that are durable. */
  changes: number;
  written: number;
  busy: boolean;
}

interface Waiter {
  readonly sector: number;
  readonly changes: number;
  readonly done: () => void;
}

/**
 * The identifiers ring: entries change in memory at once and reach the disk in groups, off the
 * acknowledging path. Each write of a sector goes to the copy that holds the older truth.
 */
export class IdentifierWriter {
  private readonly volume: Volume;
  private readonly entries: StoredIdentifier[];
  private readonly sectors: Sector[];
  private readonly dirty = new Set<number>();
  private readonly pool = new BufferPool(diskUnitBytes, writesMax);
  private waiters: Waiter[] = [];
  private writing = 0;
  private scheduled = false;
  /** Changes since the last group was begun. */
  private gathered = 0;
  /** The durable superblock, which says what of the identifiers counts; null before the first. */
  private judge: SuperblockState | null = null;
  private named = -1;

  /**
   * `entries`, one a slot, and `places`, one a sector, as they are durable now; `superblock` too.
   */
  constructor(
    volume: Volume,
    entries: readonly StoredIdentifier[],
    places: readonly SectorPlace[],
    superblock: SuperblockState | null,
  ) {
    assert(entries.length === volume.geometry.slotsCount, "STO-02: one identifier a slot");
    assert(places.length === sectorsCount(volume.geometry), "STO-02: one place a sector");
    this.volume = volume;
    this.entries = entries.slice();
    this.sectors = places.map((place) => ({ ...place, changes: 0, written: 0, busy: false }));
    if (superblock !== null) this.judgeBy(superblock);
    this.note(this.entries);
  }

  /** Highest op that an open would surely find named: by an identifier, or by the superblock. */
  get namedOp(): number {
    return this.named;
  }

  /**
   * A superblock became durable. The headers of another log take the place of all that was named:
   * what that log dropped counts no more, and it reaches every op that may still count.
   */
  judgeBy(superblock: SuperblockState): void {
    const top = superblock.viewHeaders[0]?.op ?? superblock.checkpoint.op;
    const other = superblock.logView !== this.judge?.logView;
    this.judge = superblock;
    this.named = other ? top : Math.max(this.named, top);
  }

  /** True when the durable superblock contradicts a header. */
  isVoid(header: PrepareHeader): boolean {
    return this.judge !== null && judgeHeader(header, this.judge) === "void";
  }

  private note(durable: readonly StoredIdentifier[]): void {
    for (const entry of durable) {
      if (entry.state !== "present" && entry.state !== "faulty") continue;
      const { header } = entry;
      if (header === null || header.op <= this.named || this.isVoid(header)) continue;
      this.named = header.op;
    }
  }

  /** The entry of a slot as it will be, durable or not yet. */
  entry(slot: number): StoredIdentifier {
    return this.entries[slot] ?? identifierAbsent;
  }

  /** Changes an entry; it becomes durable with its group. */
  set(slot: number, entry: StoredIdentifier): void {
    assert(slot < this.entries.length, "STO-02: slot of the ring");
    this.entries[slot] = entry;
    this.touch(Math.floor(slot / identifiersPerSector));
  }

  /** Has a sector written again as it is. */
  touch(index: number): void {
    this.sector(index).changes += 1;
    this.dirty.add(index);
    this.gathered += 1;
    if (this.dirty.size >= groupMax || this.gathered >= changesMax) this.pump();
    if (this.scheduled) return;
    this.scheduled = true;
    this.volume.tools.later(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  /** True when the entry of a slot on disk is the one in memory. */
  isDurable(slot: number): boolean {
    const sector = this.sector(Math.floor(slot / identifiersPerSector));
    return sector.written === sector.changes;
  }

  /** Writes the group now; `done` when what the slot's entry says now is durable. */
  flushSlot(slot: number, done: () => void): void {
    const index = Math.floor(slot / identifiersPerSector);
    const { changes, written } = this.sector(index);
    assert(written < changes, "STO-02: something to wait for");
    this.waiters.push({ sector: index, changes, done });
    this.pump();
  }

  /** Runs `done` when everything that was set until now is durable; at once when it is. */
  barrier(done: () => void): void {
    let left = 0;
    const one = (): void => {
      left -= 1;
      if (left === 0) done();
    };
    for (const [index, sector] of this.sectors.entries()) {
      if (sector.written === sector.changes) continue;
      left += 1;
      this.waiters.push({ sector: index, changes: sector.changes, done: one });
    }
    if (left === 0) done();
    else this.pump();
  }

  /**
   * Looks at both copies of a sector, unless it is changing. A damaged copy is written again: the
   * older one by the next write, the newest by a second one, since each goes to the older copy.
   */
  scrub(index: number, done: (finding: ScrubFinding) => void): void {
    const { tools } = this.volume;
    const { sequence, changes } = this.sector(index);
    const bytes = 2 * diskUnitBytes;
    const settled = (): boolean => {
      const { busy, written } = this.sector(index);
      return !busy && written === changes && this.sector(index).changes === changes;
    };
    if (!settled()) {
      tools.later(() => done({ bytes: 0, faults: 0 }));
      return;
    }
    this.readCopies(index, (copies) => {
      const now = this.sector(index);
      if (!settled() || now.sequence !== sequence) {
        done({ bytes, faults: 0 });
        return;
      }
      const newest = copies[now.copy];
      const older = copies[now.copy === 0 ? 1 : 0];
      const lost = sequence > 0 && !(newest?.kind === "valid" && newest.sequence === sequence);
      const worn = older?.kind === "invalid";
      if (lost || worn) this.touch(index);
      if (lost) this.flushSlot(index * identifiersPerSector, () => this.touch(index));
      done({ bytes, faults: Number(lost) + Number(worn) });
    });
  }

  private readCopies(index: number, done: (copies: readonly SectorScan[]) => void): void {
    const { tools, geometry } = this.volume;
    const copies: SectorScan[] = [];
    const next = (copy: 0 | 1): void => {
      const offset = sectorOffset(index, copy, geometry);
      tools.disk.read(zone, offset, diskUnitBytes, (found) => {
        const place = { sector: index, copy };
        copies.push(found === null ? { kind: "invalid" } : decodeSector(tools, place, found));
        if (copy === 0) next(1);
        else done(copies);
      });
    };
    next(0);
  }

  private sector(index: number): Sector {
    const sector = this.sectors[index];
    assert(sector !== undefined, "STO-02: sector of the ring");
    return sector;
  }

  private pump(): void {
    if (this.volume.poisoned) return;
    this.gathered = 0;
    for (const index of this.dirty) {
      if (this.writing >= writesMax) return;
      const sector = this.sector(index);
      if (sector.busy) continue;
      this.dirty.delete(index);
      this.write(index, sector);
    }
  }

  private write(index: number, sector: Sector): void {
    const copy = sector.copy === 0 ? 1 : 0;
    const sequence = sector.sequence + 1;
    const changes = sector.changes;
    const buffer = this.pool.take();
    const first = index * identifiersPerSector;
    const entries: StoredIdentifier[] = [];
    for (let i = 0; i < identifiersPerSector; i += 1) entries.push(this.entry(first + i));
    encodeSector(this.volume.tools, { sector: index, copy, sequence }, entries, buffer, 0);
    sector.busy = true;
    this.writing += 1;
    const offset = sectorOffset(index, copy, this.volume.geometry);
    this.volume.write(zone, offset, buffer, () => {
      this.pool.give(buffer);
      this.writing -= 1;
      Object.assign(sector, { busy: false, copy, sequence, written: changes });
      this.note(entries);
      this.wake();
      this.pump();
    });
  }

  private wake(): void {
    const ready = this.waiters.filter((w) => this.sector(w.sector).written >= w.changes);
    if (ready.length === 0) return;
    this.waiters = this.waiters.filter((w) => this.sector(w.sector).written < w.changes);
    for (const waiter of ready) waiter.done();
  }
}
