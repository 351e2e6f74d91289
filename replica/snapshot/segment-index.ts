import type { Checksum } from "#replica/base/brands.ts";

/** Index of one durable segment in memory: 16 bytes a run of entries. */
export declare class SegmentIndex {
  readonly id: string;
  readonly blocksCount: number;
  /** Block that holds an entry, or -1. */
  locate(room: number, seq: number): number;
  /** Digest of one block (the head block included). */
  blockDigest(block: number): Checksum;
}
