import { assert } from "#replica/base/assert.ts";
import { checksumOf, opFrom } from "#replica/base/brands.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { bytesFromHex, readU64, writeU64 } from "#replica/base/bytes.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import type { Hash, SegmentWrite } from "./port.ts";

/** One immutable segment as a manifest names it. */
export interface ManifestSegment {
  /** `h<level>-<opLast>-<part>`, once swept with `-<revision>`; equal on all replicas. */
  readonly id: string;
  readonly level: number;
  /** Segments of one checkpoint or merge share ops and level and differ in part, from 0. */
  readonly part: number;
  /** How often a sweep has written it again. */
  readonly revision: number;
  /** True while it may hold entries that were redacted or dropped. */
  readonly marked: boolean;
  /** True while a sweep is under way in it. */
  readonly sweeping: boolean;
  readonly opFirst: number;
  readonly opLast: number;
  /** Blocks with the head block, which is the last. */
  readonly blocksCount: number;
  /** Plaintext bytes of all blocks. */
  readonly bytes: number;
  /** H(head block); the head block holds the digest of every other block. */
  readonly digest: Checksum;
}

/** A merge that a checkpoint has started. */
export interface ManifestMerge {
  readonly level: number;
  /** Op of the newest input; the inputs are all groups of `level` up to it. */
  readonly opLast: number;
  /** Sequence of the checkpoint whose manifest has the result. */
  readonly due: number;
  /** Rows of keys with a lower own time are left out. */
  readonly keyFloorMs: number;
}

/** A checkpoint's list of segments. */
export interface Manifest {
  readonly op: Op;
  /** Checkpoints since genesis. */
  readonly sequence: number;
  /** Scalars of the machine. */
  readonly state: Uint8Array;
  /** Ascending by level, at most one a level. */
  readonly merges: readonly ManifestMerge[];
  /** Ascending by last op, then part. */
  readonly segments: readonly ManifestSegment[];
}

/** Bytes of one chunk of a manifest in its file and in state sync. */
export const manifestChunkBytes = 64 * 1024;
/** Segments of a manifest at most: 64 GiB of history in segments of 16 MiB. */
export const manifestSegmentsMax = 4096;
/** Sweeps of one segment at most. */
export const revisionMax = 255;
/** Levels of merges at most. */
export const levelsMax = 16;

const magic = 0x464d4754;
const version = 1;
const fixedBytes = 40;
const mergeBytes = 32;
const segmentBytes = 64;
const stateBytesMax = 40 * 1024;

const partMask = 0x3fff;
const sweepingBit = 0x4000;
const markedBit = 0x8000;

/** Id of a segment of history, the same on every replica. */
export function segmentIdOf(level: number, opLast: number, part: number, revision = 0): string {
  const id = `h${level}-${opLast}-${part}`;
  return revision === 0 ? id : `${id}-${revision}`;
}

/**
 * Canonical bytes, little-endian: magic u32, version u32, op u64, sequence u64, state bytes u32,
 * merges u32, segments u32, zero u32; the state; merges (level u32, zero u32, last op, due, key
 * floor, u64 each); segments (level u8, revision u8, part u14 with bits for sweeping and marked,
 * blocks u32, first op, last op, bytes, u64 each, digest 32).
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { state, merges, segments } = manifest;
  assert(state.length <= stateBytesMax, "SNP-05: state of a manifest");
  assert(segments.length <= manifestSegmentsMax, "SNP-05: segments of a manifest");
  const mergesAt = fixedBytes + state.length;
  const segmentsAt = mergesAt + merges.length * mergeBytes;
  const bytes = new Uint8Array(segmentsAt + segments.length * segmentBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, version, true);
  writeU64(view, 8, manifest.op);
  writeU64(view, 16, manifest.sequence);
  view.setUint32(24, state.length, true);
  view.setUint32(28, merges.length, true);
  view.setUint32(32, segments.length, true);
  bytes.set(state, fixedBytes);
  merges.forEach((merge, index) => {
    const at = mergesAt + index * mergeBytes;
    view.setUint32(at, merge.level, true);
    writeU64(view, at + 8, merge.opLast);
    writeU64(view, at + 16, merge.due);
    writeU64(view, at + 24, merge.keyFloorMs);
  });
  segments.forEach((segment, index) => {
    const at = segmentsAt + index * segmentBytes;
    const { part, revision, marked, sweeping } = segment;
    assert(part <= partMask && revision <= revisionMax, "SNP-05: numbers of a segment");
    view.setUint16(at, segment.level | (revision << 8), true);
    const bits = (sweeping ? sweepingBit : 0) | (marked ? markedBit : 0);
    view.setUint16(at + 2, part | bits, true);
    view.setUint32(at + 4, segment.blocksCount, true);
    writeU64(view, at + 8, segment.opFirst);
    writeU64(view, at + 16, segment.opLast);
    writeU64(view, at + 24, segment.bytes);
    bytes.set(bytesFromHex(segment.digest), at + 32);
  });
  return bytes;
}

/** Why bytes are no manifest. */
export type ManifestFault = "short" | "magic" | "version" | "length" | "number" | "order";

/** Reads a manifest; never throws on hostile bytes. */
export function decodeManifest(bytes: Uint8Array): Result<Manifest, ManifestFault> {
  if (bytes.length < fixedBytes) return fail("short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== magic) return fail("magic");
  if (view.getUint32(4, true) !== version) return fail("version");
  const op = readU64(view, 8);
  const sequence = readU64(view, 16);
  const stateBytes = view.getUint32(24, true);
  const mergesCount = view.getUint32(28, true);
  const segmentsCount = view.getUint32(32, true);
  if (Number.isNaN(op) || Number.isNaN(sequence)) return fail("number");
  if (stateBytes > stateBytesMax || mergesCount > levelsMax) return fail("length");
  if (segmentsCount > manifestSegmentsMax || view.getUint32(36, true) !== 0) return fail("length");
  const mergesAt = fixedBytes + stateBytes;
  const segmentsAt = mergesAt + mergesCount * mergeBytes;
  if (bytes.length !== segmentsAt + segmentsCount * segmentBytes) return fail("length");
  const merges: ManifestMerge[] = [];
  for (let at = mergesAt; at < segmentsAt; at += mergeBytes) {
    const merge = readMerge(view, at);
    if (merge === null) return fail("number");
    merges.push(merge);
  }
  const segments: ManifestSegment[] = [];
  for (let at = segmentsAt; at < bytes.length; at += segmentBytes) {
    const segment = readSegment(bytes, view, at);
    if (segment === null) return fail("number");
    const last = segments.at(-1);
    if (last !== undefined && !follows(last, segment)) return fail("order");
    segments.push(segment);
  }
  const state = bytes.slice(fixedBytes, mergesAt);
  return ok({ op: opFrom(op), sequence, state, merges, segments });
}

function readMerge(view: DataView, at: number): ManifestMerge | null {
  const level = view.getUint32(at, true);
  const opLast = readU64(view, at + 8);
  const due = readU64(view, at + 16);
  const keyFloorMs = readU64(view, at + 24);
  if (level >= levelsMax || view.getUint32(at + 4, true) !== 0) return null;
  if (Number.isNaN(opLast) || Number.isNaN(due) || Number.isNaN(keyFloorMs)) return null;
  return { level, opLast, due, keyFloorMs };
}

function readSegment(bytes: Uint8Array, view: DataView, at: number): ManifestSegment | null {
  const level = view.getUint8(at);
  const revision = view.getUint8(at + 1);
  const bits = view.getUint16(at + 2, true);
  const part = bits & partMask;
  const marked = (bits & markedBit) !== 0;
  const sweeping = (bits & sweepingBit) !== 0;
  const blocksCount = view.getUint32(at + 4, true);
  const opFirst = readU64(view, at + 8);
  const opLast = readU64(view, at + 16);
  const total = readU64(view, at + 24);
  if (Number.isNaN(opFirst) || Number.isNaN(opLast) || Number.isNaN(total)) return null;
  if (level > levelsMax || opFirst > opLast || blocksCount < 1) return null;
  const digest = checksumOf(bytes.subarray(at + 32, at + 64));
  const id = segmentIdOf(level, opLast, part, revision);
  const about = { id, level, part, revision, marked, sweeping };
  return { ...about, opFirst, opLast, blocksCount, bytes: total, digest };
}

function follows(last: ManifestSegment, next: ManifestSegment): boolean {
  if (next.opLast === last.opLast) return next.part === last.part + 1 && next.level === last.level;
  return next.opFirst === last.opLast + 1 && next.part === 0;
}

/** Digest of a manifest's bytes: `root` of the checkpoint descriptor. */
export function manifestRoot(bytes: Uint8Array, hash: Hash): Checksum {
  return hash(bytes);
}

/** Bytes of the manifest of op 0, from `ChatMachine.genesisState(genesis)`. */
export function genesisManifest(state: Uint8Array): Uint8Array {
  return encodeManifest({ op: opFrom(0), sequence: 0, state, merges: [], segments: [] });
}

/** Id of the segment that keeps the manifest of a checkpoint's op. */
export function manifestSegmentId(op: number): string {
  return `m${op}`;
}

/** Blocks of the segment that keeps a manifest of this many bytes. */
export function manifestBlocksCount(manifestBytes: number): number {
  return Math.ceil(manifestBytes / manifestChunkBytes);
}

/** The segment that keeps a manifest, in blocks of {@link manifestChunkBytes}. */
export function manifestWrite(op: number, bytes: Uint8Array): SegmentWrite {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += manifestChunkBytes) {
    blocks.push(bytes.subarray(at, at + manifestChunkBytes));
  }
  return { id: manifestSegmentId(op), blocks };
}

/** Ids of all segments that a checkpoint needs on disk, its manifest's own among them. */
export function liveSegmentIds(manifest: Manifest): readonly string[] {
  return [manifestSegmentId(manifest.op), ...manifest.segments.map((segment) => segment.id)];
}
