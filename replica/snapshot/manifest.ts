import type { Checksum, Op } from "#replica/base/brands.ts";
import type { Result } from "#replica/base/result.ts";
import type { Hash, SegmentWrite } from "./port.ts";

/** One immutable segment as a manifest names it. */
export interface ManifestSegment {
  /** `h<level>-<opLast>-<part>`, equal on all replicas. */
  readonly id: string;
  readonly level: number;
  /** Segments of one checkpoint or merge share ops and level and differ in part, from 0. */
  readonly part: number;
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
  /** Op of the newest input; inputs are the oldest groups of `level` up to it. */
  readonly opLast: number;
  /** Sequence of the checkpoint whose manifest has the result. */
  readonly due: number;
  readonly keyFloorMs: number;
}

/** A checkpoint's list of segments. */
export interface Manifest {
  readonly version: 1;
  readonly op: Op;
  /** Checkpoints since genesis. */
  readonly sequence: number;
  /** Scalars of the machine. */
  readonly state: Uint8Array;
  readonly merges: readonly ManifestMerge[];
  /** Ascending by ops, then part. */
  readonly segments: readonly ManifestSegment[];
}

/** Bytes of one chunk of a manifest in its file and in state sync. */
export const manifestChunkBytes = 64 * 1024;

/** Canonical bytes. */
export declare function encodeManifest(manifest: Manifest): Uint8Array;
/** Never throws on hostile bytes. */
export declare function decodeManifest(bytes: Uint8Array): Result<Manifest>;
/** Digest of a manifest's bytes: `root` of the checkpoint descriptor. */
export declare function manifestRoot(bytes: Uint8Array, hash: Hash): Checksum;
/** Manifest of op 0, from `ChatMachine.genesisState(genesis)`. */
export declare function genesisManifest(state: Uint8Array): Uint8Array;
/** Id of the segment that keeps the manifest of a checkpoint's op: `m<op>`. */
export declare function manifestSegmentId(op: number): string;
/** The segment that keeps a manifest, in blocks of {@link manifestChunkBytes}. */
export declare function manifestWrite(op: number, bytes: Uint8Array): SegmentWrite;
/** Blocks of the segment that keeps a manifest of this many bytes. */
export declare function manifestBlocksCount(manifestBytes: number): number;
