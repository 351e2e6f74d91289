import { assert } from "#replica/base/assert.ts";
import { tileLeaves } from "#replica/proof/peaks.ts";
import type { HashInto } from "#replica/proof/hash-many.ts";
import { entryFlagRedacted, redactEntry } from "#replica/wire/entry.ts";
import { cellKinds, tenantScope } from "./cell-table.ts";
import { LeafHasher } from "./leaf-hasher.ts";
import type { MachineTables } from "./machine-tables.ts";
import { tapesStart } from "./proof-tapes.ts";
import type { BodyHash } from "./redactions.ts";
import { floorOf, freezesOf, retentionVersion, sweepPeriod } from "./retention.ts";
import { roomRedactions } from "./room-table.ts";

/** Bytes of what is left of an entry that is gone while its neighbours' proofs need its leaf. */
export const stubBytes = 32;

const empty = new Uint8Array(0);

/**
 * What a sweep of old segments leaves of their entries: of an entry below the floor nothing, or the
 * hash of its leaf if its tile has entries that stay; of a redacted one the head and H(salt, body).
 * Everything is as of the checkpoint that began the sweep, however far the machine has gone since.
 */
export class Sweeper {
  private readonly tables: MachineTables;
  private readonly hash: BodyHash;
  private readonly leaves: LeafHasher | null;
  private room = -1;

  constructor(tables: MachineTables, hash: BodyHash, leafHash: HashInto | null) {
    this.tables = tables;
    this.hash = hash;
    this.leaves = leafHash === null ? null : new LeafHasher(leafHash);
  }

  /** A checkpoint is frozen: its place among those of its sweep, or -1 before version 2. */
  freeze(): number {
    const { tables } = this;
    if (tables.state.version < retentionVersion) return -1;
    const freezes = freezesOf(tables) + 1;
    tables.setCell(tenantScope, cellKinds.freezes, 0, empty, 0, 0, freezes);
    if (freezes % sweepPeriod === 0) {
      tables.setCell(tenantScope, cellKinds.sweepUs, 0, empty, 0, 0, tables.state.timeUs);
    }
    return freezes % sweepPeriod;
  }

  /** True when {@link keep} changes one of these entries of a room. */
  touches(room: number, seqFirst: number, count: number): boolean {
    if (room >= tapesStart) return false;
    if (seqFirst < this.floor(room)) return true;
    if (!this.hasRedactions(room)) return false;
    for (let i = 0; i < count; i += 1) if (this.isRedacted(room, seqFirst + i)) return true;
    return false;
  }

  /** What is left of an entry: itself, something shorter or a little longer, or nothing. */
  keep(room: number, seq: number, entry: Uint8Array): Uint8Array {
    const floor = this.floor(room);
    if (seq < floor) {
      const tileLast = Math.ceil(seq / tileLeaves) * tileLeaves;
      if (tileLast < floor) return empty;
      return entry.length === stubBytes ? entry : this.stub(room, entry);
    }
    assert(entry.length > stubBytes, "MCH-24: entries from the floor on are whole");
    const done = ((entry[3] ?? 0) & entryFlagRedacted) !== 0;
    if (done || !this.hasRedactions(room) || !this.isRedacted(room, seq)) return entry;
    return redactEntry(entry, this.hash);
  }

  private stub(room: number, entry: Uint8Array): Uint8Array {
    const leaf = new Uint8Array(stubBytes);
    if (this.leaves === null) return leaf;
    if (room !== this.room) this.leaves.open(this.tables.rooms.nameRecord(room));
    this.room = room;
    this.leaves.leaf(entry, 0, entry.length, leaf, 0);
    return leaf;
  }

  /** Floor of a room as of the beginning of the sweep. */
  private floor(room: number): number {
    const { tables } = this;
    const floor = floorOf(tables, room);
    if (floor === 1) return floor;
    const get = (kind: number): number => tables.cells.get(room, kind, 0, empty, 0, 0);
    const sweep = Math.floor(freezesOf(tables) / sweepPeriod) + 1;
    return get(cellKinds.floorSweep) === sweep ? get(cellKinds.floorBefore) : floor;
  }

  private hasRedactions(room: number): boolean {
    const { rooms } = this.tables;
    return ((rooms.page(room).special[rooms.at(room)] ?? 0) & roomRedactions) !== 0;
  }

  private isRedacted(room: number, seq: number): boolean {
    const { cells } = this.tables;
    const timeUs = cells.get(room, cellKinds.redacted, seq, empty, 0, 0);
    return timeUs > 0 && timeUs <= cells.get(tenantScope, cellKinds.sweepUs, 0, empty, 0, 0);
  }
}
