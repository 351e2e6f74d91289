import { entryFlagRedacted, entrySeqAt, redactEntry } from "#replica/wire/entry.ts";
import { cellKinds } from "./cell-table.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { EntryPlace } from "./room-reader.ts";
import { roomRedactions } from "./room-table.ts";

/** SHA-256 of bytes, 32 bytes. */
export type BodyHash = (bytes: Uint8Array) => Uint8Array;

const empty = new Uint8Array(0);

/**
 * Entries as they are shown: from the op of its redaction on, nothing shows an entry's body or
 * salt, although they are still on disk until the segments that hold them are merged.
 */
export class Redactions {
  private readonly tables: MachineTables;
  private readonly hash: BodyHash;

  constructor(tables: MachineTables, hash: BodyHash) {
    this.tables = tables;
    this.hash = hash;
  }

  /** The places with redacted entries replaced. */
  show(room: number, places: readonly EntryPlace[]): readonly EntryPlace[] {
    const { rooms } = this.tables;
    const special = rooms.page(room).special[rooms.at(room)] ?? 0;
    return (special & roomRedactions) === 0 ? places : places.map((one) => this.showOne(room, one));
  }

  private showOne(room: number, place: EntryPlace): EntryPlace {
    const { bytes, at, length } = place;
    const entry = bytes.subarray(at, at + length);
    const seq = entrySeqAt(new DataView(entry.buffer, entry.byteOffset, length), 0);
    if (this.tables.cells.get(room, cellKinds.redacted, seq, empty, 0, 0) === 0) return place;
    if (((entry[3] ?? 0) & entryFlagRedacted) !== 0) return place;
    const shown = redactEntry(entry, this.hash);
    return { bytes: shown, at: 0, length: shown.length };
  }
}
