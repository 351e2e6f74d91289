import { assert } from "#replica/base/assert.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { diskUnitBytes, headerBytes } from "#replica/base/limits.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import {
  prepareUnits,
  slotPrefixBytes,
  unitPayloadBytes,
  unitTrailerBytes,
  type WalGeometry,
} from "./geometry.ts";
import type { JournalTools } from "./journal-tools.ts";

// A slot is a row of units of 4 KiB, each [payload, 4,032][trailer, 64]. The payloads in a row:
// prepare header (384, clear), GCM tag (16), encrypted body, zeros to the end of the last unit.
// Trailer: magic u32, index u16, count u16, key id u32, zero u32, counter u64, op u64, view u64,
// zeros (20), CRC-32 of the unit's first 4,092 bytes u32. The write id is (key id, counter).

const magic = 0x55574754; // "TGWU"
const trailerAt = unitPayloadBytes;
const crcAt = diskUnitBytes - 4;

/** Names one write of one slot: unique for ever, and a later write compares higher. */
export interface WriteId {
  readonly keyId: number;
  readonly counter: number;
}

/** An encrypted body, as a vault gives it and as a slot holds it. */
export interface SlotBody extends WriteId {
  readonly tag: Uint8Array;
  readonly cipher: Uint8Array;
}

/** What the units of one slot say together, the identifier not yet asked. */
export type SlotScan =
  /** Every unit is zero: never written. */
  | { readonly kind: "blank" }
  /** The newest write is there completely; `body` is not yet opened. */
  | {
      readonly kind: "whole";
      readonly header: PrepareHeader;
      readonly body: SlotBody;
      readonly units: number;
    }
  /** All units valid, the newest write incomplete: its sync never returned. */
  | { readonly kind: "mixed"; readonly op: number; readonly view: number }
  /** A unit of the newest write is damaged or belongs elsewhere. */
  | {
      readonly kind: "invalid";
      /** Op of the newest valid unit; null when there is none. */
      readonly op: number | null;
      /** From the first unit, when that one is whole. */
      readonly header: PrepareHeader | null;
      /** The damaged unit. */
      readonly unit: number;
    };

/** Bytes that {@link encodeSlot} fills. */
export function slotWriteBytes(bodyBytes: number): number {
  return prepareUnits(bodyBytes) * diskUnitBytes;
}

/** Fills the units of one prepare at `offset` of `into`; returns the bytes filled. */
export function encodeSlot(
  tools: JournalTools,
  header: PrepareHeader,
  body: SlotBody,
  into: Uint8Array,
  offset: number,
): number {
  assert(body.cipher.length === header.bodyBytes, "JRN-02: the body is the header's");
  assert(body.tag.length === slotPrefixBytes - headerBytes, "JRN-02: tag");
  const count = prepareUnits(header.bodyBytes);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  let taken = 0;
  for (let index = 0; index < count; index += 1) {
    const at = offset + index * diskUnitBytes;
    let start = at;
    if (index === 0) {
      tools.encodeHeader(header, into, at);
      into.set(body.tag, at + headerBytes);
      start = at + slotPrefixBytes;
    }
    const piece = Math.min(at + unitPayloadBytes - start, body.cipher.length - taken);
    into.set(body.cipher.subarray(taken, taken + piece), start);
    taken += piece;
    into.fill(0, start + piece, at + diskUnitBytes);
    writeTrailer(view, at + trailerAt, header, body, index, count);
    const crc = tools.crc32(into.subarray(at, at + crcAt));
    view.setUint32(at + crcAt, crc, true);
  }
  assert(taken === body.cipher.length, "JRN-02: the whole body is in the slot");
  return count * diskUnitBytes;
}

function writeTrailer(
  view: DataView,
  at: number,
  header: PrepareHeader,
  id: WriteId,
  index: number,
  count: number,
): void {
  view.setUint32(at, magic, true);
  view.setUint16(at + 4, index, true);
  view.setUint16(at + 6, count, true);
  view.setUint32(at + 8, id.keyId, true);
  writeU64(view, at + 16, id.counter);
  writeU64(view, at + 24, header.op);
  writeU64(view, at + 32, header.view);
}

interface Unit {
  readonly kind: "blank" | "valid" | "invalid";
  readonly count: number;
  readonly keyId: number;
  readonly counter: number;
  readonly op: number;
  readonly view: number;
}

const blankUnit: Unit = { kind: "blank", count: 0, keyId: 0, counter: 0, op: 0, view: 0 };
const invalidUnit: Unit = { ...blankUnit, kind: "invalid" };

/** By words: a scan of a fresh ring looks at little else. `bytes`: a multiple of four. */
function isZero(view: DataView, start: number, bytes: number): boolean {
  const end = start + bytes;
  for (let at = start; at < end; at += 4) if (view.getInt32(at, true) !== 0) return false;
  return true;
}

/** Reads one unit and judges it alone: checksum, place in the slot, place in the ring. */
function readUnit(
  tools: JournalTools,
  geometry: WalGeometry,
  slot: number,
  bytes: Uint8Array,
  view: DataView,
  index: number,
): Unit {
  const at = index * diskUnitBytes;
  const trailer = at + trailerAt;
  if (view.getUint32(trailer, true) !== magic) {
    return isZero(view, at, diskUnitBytes) ? blankUnit : invalidUnit;
  }
  const crc = tools.crc32(bytes.subarray(at, at + crcAt));
  if (crc !== view.getUint32(at + crcAt, true)) return invalidUnit;
  const count = view.getUint16(trailer + 6, true);
  const op = readU64(view, trailer + 24);
  const placed =
    view.getUint16(trailer + 4, true) === index &&
    index < count &&
    count * diskUnitBytes <= geometry.slotBytes &&
    op % geometry.slotsCount === slot;
  if (!placed) return invalidUnit;
  return {
    kind: "valid",
    count,
    keyId: view.getUint32(trailer + 8, true),
    counter: readU64(view, trailer + 16),
    op,
    view: readU64(view, trailer + 32),
  };
}

function isLater(a: WriteId, b: WriteId): boolean {
  return a.keyId > b.keyId || (a.keyId === b.keyId && a.counter > b.counter);
}

function sameWrite(a: Unit, b: Unit): boolean {
  return a.keyId === b.keyId && a.counter === b.counter && a.op === b.op && a.count === b.count;
}

/** Judges the units of a slot together; `bytes`: the whole slot, or the units that it is
 * known to use. Never throws on bad bytes. */
export function scanSlot(
  tools: JournalTools,
  geometry: WalGeometry,
  slot: number,
  bytes: Uint8Array,
): SlotScan {
  assert(bytes.length % diskUnitBytes === 0, "JRN-02: whole units");
  assert(bytes.length > 0 && bytes.length <= geometry.slotBytes, "JRN-02: of one slot");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const units: Unit[] = [];
  let newest: Unit | null = null;
  for (let index = 0; index * diskUnitBytes < bytes.length; index += 1) {
    const unit = readUnit(tools, geometry, slot, bytes, view, index);
    units.push(unit);
    if (unit.kind === "valid" && (newest === null || isLater(unit, newest))) newest = unit;
  }
  const first = units[0];
  assert(first !== undefined, "JRN-02: a slot has units");
  if (newest === null) return scanWithoutWrite(units);
  const header = first.kind === "valid" ? tools.decodeHeader(bytes.subarray(0, headerBytes)) : null;
  const firstIsNewest = sameWrite(first, newest);
  let mixed = !firstIsNewest;
  for (let index = 0; index < newest.count; index += 1) {
    const unit = units[index];
    if (unit === undefined || unit.kind === "invalid") {
      const known = firstIsNewest && header?.op === newest.op ? header : null;
      return { kind: "invalid", op: newest.op, header: known, unit: index };
    }
    if (!sameWrite(unit, newest)) mixed = true;
  }
  if (mixed) return { kind: "mixed", op: newest.op, view: newest.view };
  if (!headerFits(header, newest)) {
    return { kind: "invalid", op: newest.op, header: null, unit: 0 };
  }
  return { kind: "whole", header, body: gatherBody(bytes, header, newest), units: newest.count };
}

function scanWithoutWrite(units: readonly Unit[]): SlotScan {
  const bad = units.findIndex((unit) => unit.kind === "invalid");
  if (bad === -1) return { kind: "blank" };
  return { kind: "invalid", op: null, header: null, unit: bad };
}

function headerFits(header: PrepareHeader | null, unit: Unit): header is PrepareHeader {
  if (header === null) return false;
  const units = prepareUnits(header.bodyBytes);
  return header.op === unit.op && header.view === unit.view && units === unit.count;
}

function gatherBody(bytes: Uint8Array, header: PrepareHeader, id: WriteId): SlotBody {
  const cipher = new Uint8Array(header.bodyBytes);
  let taken = 0;
  for (let index = 0; taken < cipher.length; index += 1) {
    const at = index * diskUnitBytes;
    const start = index === 0 ? at + slotPrefixBytes : at;
    const piece = Math.min(at + unitPayloadBytes - start, cipher.length - taken);
    cipher.set(bytes.subarray(start, start + piece), taken);
    taken += piece;
  }
  const tag = bytes.slice(headerBytes, slotPrefixBytes);
  return { keyId: id.keyId, counter: id.counter, tag, cipher };
}

assert(unitTrailerBytes === 64 && slotPrefixBytes < unitPayloadBytes, "JRN-02: layout");
