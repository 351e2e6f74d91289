import { assert } from "#replica/base/assert.ts";
import { type Op, opFrom } from "#replica/base/brands.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { diskUnitBytes, headerBytes } from "#replica/base/limits.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { identifiersPerSector } from "./geometry.ts";
import type { JournalTools } from "./journal-tools.ts";

// A sector is one unit: magic u32, sector u32, sequence u64, copy u8, zeros to 32; ten entries of
// 400 bytes; zeros; CRC-32 of the first 4,092 bytes u32. Entry: state u8, zeros to 8, op u64,
// prepare header (384, zeros when the state knows none).

const magic = 0x44494754; // "TGID"
const entriesAt = 32;
const entryBytes = 16 + headerBytes;
const crcAt = diskUnitBytes - 4;

assert(
  entriesAt + identifiersPerSector * entryBytes <= crcAt,
  "JRN-03: a sector holds its entries",
);

/**
 * What the identifiers ring says of a slot. `present`: that prepare was durable here. `faulty`: it
 * should be here and is known to be corrupt; header null when nothing names it. `void`: that header
 * was contradicted by the superblock and must not be trusted again. `unreadable`: both copies
 * of the sector are damaged.
 */
export type Identifier =
  | { readonly state: "absent" }
  | { readonly state: "unreadable" }
  | { readonly state: "present"; readonly op: Op; readonly header: PrepareHeader }
  | { readonly state: "void"; readonly op: Op; readonly header: PrepareHeader }
  | { readonly state: "faulty"; readonly op: Op; readonly header: PrepareHeader | null };

/** An entry that can be written: everything but `unreadable`. */
export type StoredIdentifier = Exclude<Identifier, { readonly state: "unreadable" }>;

/** The entry of a slot that was never written. */
export const identifierAbsent: StoredIdentifier = { state: "absent" };

const stateCodes = { absent: 0, present: 1, faulty: 2, void: 3 } as const;

/** One sector as read. `blank`: all zeros, as formatting leaves it. */
export type SectorScan =
  | { readonly kind: "blank" }
  | { readonly kind: "invalid" }
  | {
      readonly kind: "valid";
      readonly sequence: number;
      readonly entries: readonly Identifier[];
    };

/** Fills one unit of `into` at `offset`. `sequence` grows with every write of this sector. */
export function encodeSector(
  tools: JournalTools,
  place: { readonly sector: number; readonly copy: 0 | 1; readonly sequence: number },
  entries: readonly StoredIdentifier[],
  into: Uint8Array,
  offset: number,
): void {
  assert(entries.length === identifiersPerSector, "JRN-03: entries of a sector");
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  into.fill(0, offset, offset + diskUnitBytes);
  view.setUint32(offset, magic, true);
  view.setUint32(offset + 4, place.sector, true);
  writeU64(view, offset + 8, place.sequence);
  view.setUint8(offset + 16, place.copy);
  let at = offset + entriesAt;
  for (const entry of entries) {
    if (entry.state !== "absent") {
      view.setUint8(at, stateCodes[entry.state]);
      writeU64(view, at + 8, entry.op);
      if (entry.header !== null) tools.encodeHeader(entry.header, into, at + 16);
    }
    at += entryBytes;
  }
  const crc = tools.crc32(into.subarray(offset, offset + crcAt));
  view.setUint32(offset + crcAt, crc, true);
}

/** By words: one unit. */
function isZero(view: DataView): boolean {
  for (let at = 0; at < diskUnitBytes; at += 4) if (view.getInt32(at, true) !== 0) return false;
  return true;
}

/** Reads one copy of a sector; a copy of another place is invalid. */
export function decodeSector(
  tools: JournalTools,
  place: { readonly sector: number; readonly copy: 0 | 1 },
  bytes: Uint8Array,
): SectorScan {
  assert(bytes.length === diskUnitBytes, "JRN-03: one unit");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== magic) {
    return isZero(view) ? { kind: "blank" } : { kind: "invalid" };
  }
  const crc = tools.crc32(bytes.subarray(0, crcAt));
  const sound =
    crc === view.getUint32(crcAt, true) &&
    view.getUint32(4, true) === place.sector &&
    view.getUint8(16) === place.copy;
  if (!sound) return { kind: "invalid" };
  const entries: Identifier[] = [];
  for (let index = 0; index < identifiersPerSector; index += 1) {
    entries.push(decodeEntry(tools, view, bytes, entriesAt + index * entryBytes));
  }
  return { kind: "valid", sequence: readU64(view, 8), entries };
}

function decodeEntry(
  tools: JournalTools,
  view: DataView,
  bytes: Uint8Array,
  at: number,
): Identifier {
  const code = view.getUint8(at);
  if (code === stateCodes.absent) return identifierAbsent;
  const op = readU64(view, at + 8);
  if (!Number.isSafeInteger(op)) return { state: "unreadable" };
  const header = tools.decodeHeader(bytes.subarray(at + 16, at + entryBytes));
  if (code === stateCodes.faulty) return { state: "faulty", op: opFrom(op), header };
  if (header === null || header.op !== op) return { state: "unreadable" };
  if (code === stateCodes.present) return { state: "present", op: header.op, header };
  if (code === stateCodes.void) return { state: "void", op: header.op, header };
  return { state: "unreadable" };
}

/** The truth of a sector out of its two copies: the higher sequence of those that are sound. */
export function chooseSector(
  a: SectorScan,
  b: SectorScan,
): { readonly sequence: number; readonly copy: 0 | 1; readonly entries: readonly Identifier[] } {
  if (a.kind === "valid" && (b.kind !== "valid" || a.sequence > b.sequence)) {
    return { sequence: a.sequence, copy: 0, entries: a.entries };
  }
  if (b.kind === "valid") return { sequence: b.sequence, copy: 1, entries: b.entries };
  const known = a.kind === "blank" || b.kind === "blank";
  const entry: Identifier = known ? identifierAbsent : { state: "unreadable" };
  return { sequence: 0, copy: 1, entries: new Array(identifiersPerSector).fill(entry) };
}
