import { assert } from "#replica/base/assert.ts";
import { type Op, opFrom } from "#replica/base/brands.ts";
import {
  diskUnitBytes,
  headerBytes,
  pipelineMax,
  prepareBytesMax,
  walSlotBytes,
} from "#replica/base/limits.ts";

/** Size of the two rings of one volume; fixed when it is formatted. */
export interface WalGeometry {
  /** Slots of either ring, N: the prepare of op n lies in slot n mod N. */
  readonly slotsCount: number;
  /** Bytes of a slot of the prepares ring; whole units. */
  readonly slotBytes: number;
}

/** Bytes of the trailer that ends every unit of a slot. */
export const unitTrailerBytes = 64;
/** Bytes of a unit that carry the prepare. */
export const unitPayloadBytes = diskUnitBytes - unitTrailerBytes;
/** Bytes before the encrypted body: the prepare's header in clear, and the body's GCM tag. */
export const slotPrefixBytes = headerBytes + 16;
/** Identifiers of one sector of the identifiers ring. */
export const identifiersPerSector = 10;
/** Slots of a ring at most: 8 GiB of prepares. */
export const walSlotsMax = 65_536;

/** Units that a prepare with a body of that size takes. */
export function prepareUnits(bodyBytes: number): number {
  return Math.ceil((slotPrefixBytes + bodyBytes) / unitPayloadBytes);
}

assert(
  prepareUnits(prepareBytesMax - headerBytes) * diskUnitBytes <= walSlotBytes,
  "JRN-01: the largest prepare fits its slot with all trailers",
);

/** Checks a geometry read from a volume or a configuration. Asserts its bounds. */
export function checkGeometry(geometry: WalGeometry): WalGeometry {
  const { slotsCount, slotBytes } = geometry;
  assert(Number.isSafeInteger(slotsCount) && slotsCount > 2 * pipelineMax, "JRN-01: slots");
  assert(slotsCount <= walSlotsMax, "JRN-01: slots at most");
  assert(slotBytes % diskUnitBytes === 0 && slotBytes >= diskUnitBytes, "JRN-01: whole units");
  assert(slotBytes <= walSlotBytes, "JRN-01: slot bytes");
  return geometry;
}

/** Slot of an op. */
export function slotOf(op: Op, geometry: WalGeometry): number {
  return op % geometry.slotsCount;
}

/** Byte of the prepares ring at which a slot begins. */
export function slotOffset(slot: number, geometry: WalGeometry): number {
  assert(slot >= 0 && slot < geometry.slotsCount, "JRN-01: slot in the ring");
  return slot * geometry.slotBytes;
}

/**
 * The one op above the checkpoint that a slot may hold: a slot is overwritten by n + N only when
 * the checkpoint has reached n, so every live op lies in (checkpoint, checkpoint + N].
 */
export function liveOpOf(slot: number, checkpointOp: Op, geometry: WalGeometry): Op {
  const first = checkpointOp + 1;
  const n = geometry.slotsCount;
  return opFrom(first + ((((slot - first) % n) + n) % n));
}

/** Bytes of the prepares ring. */
export function preparesBytes(geometry: WalGeometry): number {
  return geometry.slotsCount * geometry.slotBytes;
}

/** Sectors of one copy of the identifiers ring. */
export function sectorsCount(geometry: WalGeometry): number {
  return Math.ceil(geometry.slotsCount / identifiersPerSector);
}

/** Bytes of the identifiers ring: two copies of every sector, in two halves. */
export function identifiersBytes(geometry: WalGeometry): number {
  return 2 * sectorsCount(geometry) * diskUnitBytes;
}

/** Byte at which one copy (0 or 1) of a sector begins. */
export function sectorOffset(sector: number, copy: 0 | 1, geometry: WalGeometry): number {
  assert(sector >= 0 && sector < sectorsCount(geometry), "JRN-01: sector in the ring");
  return (copy * sectorsCount(geometry) + sector) * diskUnitBytes;
}
