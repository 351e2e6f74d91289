import { assert } from "#replica/base/assert.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import type { Sealed } from "#replica/crypto/vault.ts";

// A segment: [table copy 0, 4 KiB][table copy 1, 4 KiB][block 0][block 1]... without gaps.
// Table: magic u32, copy u8, zeros to 8, blocks u32, zero u32, plaintext bytes of each block u32,
// zeros, CRC-32 of the first 4,092 bytes. Block: magic u32, index u32, plaintext bytes u32, key id
// u32, counter u64, tag 16, zeros to 56, CRC-32 of header (as zero) and ciphertext u32, zero u32,
// ciphertext.
const tableMagic = 0x42534754; // "TGSB"
const blockMagic = 0x4b424754; // "TGBK"
const lengthsAt = 16;
const tableCrcAt = diskUnitBytes - 4;
const blockCrcAt = 56;
const tagAt = 24;
const tagBytes = 16;

/** Bytes of the two tables before the first block. */
export const segmentTablesBytes = 2 * diskUnitBytes;
/** Bytes before the ciphertext of a block. */
export const blockHeaderBytes = 64;
/** Plaintext bytes of a block at most. */
export const blockBytesMax = 64 * 1024;
/** Blocks of a segment at most: what one table names. */
export const segmentBlocksMax = 1000;

assert(lengthsAt + 4 * segmentBlocksMax <= tableCrcAt, "STO-06: a table holds its lengths");

interface Crc {
  readonly crc32: (bytes: Uint8Array) => number;
}

/** Where the blocks of a segment lie. */
export interface SegmentTable {
  /** Plaintext bytes of each block. */
  readonly lengths: readonly number[];
  /** Byte at which each block's header begins. */
  readonly offsets: readonly number[];
}

/** A table from the blocks' lengths. Asserts their bounds. */
export function segmentTableFrom(lengths: readonly number[]): SegmentTable {
  assert(lengths.length <= segmentBlocksMax, "STO-06: blocks of a segment");
  const offsets: number[] = [];
  let at = segmentTablesBytes;
  for (const length of lengths) {
    assert(length >= 0 && length <= blockBytesMax, "STO-06: bytes of a block");
    offsets.push(at);
    at += blockHeaderBytes + length;
  }
  return { lengths, offsets };
}

/** Both copies of the table. */
export function encodeSegmentTable(tools: Crc, lengths: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(segmentTablesBytes);
  for (const copy of [0, 1]) {
    const unit = bytes.subarray(copy * diskUnitBytes, (copy + 1) * diskUnitBytes);
    const view = new DataView(unit.buffer, unit.byteOffset, unit.byteLength);
    view.setUint32(0, tableMagic, true);
    view.setUint8(4, copy);
    view.setUint32(8, lengths.length, true);
    for (const [i, length] of lengths.entries()) view.setUint32(lengthsAt + 4 * i, length, true);
    view.setUint32(tableCrcAt, tools.crc32(unit.subarray(0, tableCrcAt)), true);
  }
  return bytes;
}

/** One copy of a table, or null when damaged. */
export function decodeSegmentTable(tools: Crc, unit: Uint8Array, copy: 0 | 1): SegmentTable | null {
  const view = new DataView(unit.buffer, unit.byteOffset, unit.byteLength);
  if (view.getUint32(0, true) !== tableMagic || view.getUint8(4) !== copy) return null;
  if (tools.crc32(unit.subarray(0, tableCrcAt)) !== view.getUint32(tableCrcAt, true)) return null;
  const count = view.getUint32(8, true);
  if (count > segmentBlocksMax) return null;
  const lengths: number[] = [];
  for (let i = 0; i < count; i += 1) lengths.push(view.getUint32(lengthsAt + 4 * i, true));
  if (lengths.some((length) => length > blockBytesMax)) return null;
  return segmentTableFrom(lengths);
}

/** Fills one block at `offset`; returns the bytes filled. */
export function encodeBlock(
  tools: Crc,
  block: number,
  sealed: Sealed,
  into: Uint8Array,
  offset: number,
): number {
  const bytes = blockHeaderBytes + sealed.cipher.length;
  const whole = into.subarray(offset, offset + bytes);
  const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
  whole.fill(0, 0, blockHeaderBytes);
  view.setUint32(0, blockMagic, true);
  view.setUint32(4, block, true);
  view.setUint32(8, sealed.cipher.length, true);
  view.setUint32(12, sealed.keyId, true);
  writeU64(view, 16, sealed.counter);
  whole.set(sealed.tag, tagAt);
  whole.set(sealed.cipher, blockHeaderBytes);
  view.setUint32(blockCrcAt, tools.crc32(whole), true);
  return bytes;
}

/** The ciphertext of a block, within `bytes`, or null when it is damaged or another one. */
export function decodeBlock(tools: Crc, block: number, bytes: Uint8Array): Sealed | null {
  if (bytes.length < blockHeaderBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== blockMagic || view.getUint32(4, true) !== block) return null;
  if (view.getUint32(8, true) !== bytes.length - blockHeaderBytes) return null;
  const crc = view.getUint32(blockCrcAt, true);
  view.setUint32(blockCrcAt, 0, true);
  const found = tools.crc32(bytes);
  view.setUint32(blockCrcAt, crc, true);
  const counter = readU64(view, 16);
  if (found !== crc || !Number.isSafeInteger(counter)) return null;
  return {
    keyId: view.getUint32(12, true),
    counter,
    tag: bytes.subarray(tagAt, tagAt + tagBytes),
    cipher: bytes.subarray(blockHeaderBytes),
  };
}

/** Plaintext bytes that a block's header names, or null when it is not the header of that block. */
export function blockLengthOf(header: Uint8Array, block: number): number | null {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.getUint32(0, true) !== blockMagic || view.getUint32(4, true) !== block) return null;
  const length = view.getUint32(8, true);
  return length <= blockBytesMax ? length : null;
}
