import type { Checksum } from "#replica/base/brands.ts";
import type { Manifest } from "./manifest.ts";
import type { BlockAddress, Hash, RestoreSink } from "./port.ts";
import type { SegmentIndex } from "./segment-index.ts";

/** What {@link Restorer.next} wants. */
export type RestoreStep =
  /** Load these blocks, then call `give` with them in this order (null = unreadable). */
  | { readonly kind: "load"; readonly addresses: readonly BlockAddress[] }
  | {
      readonly kind: "done";
      readonly manifest: Manifest;
      readonly segments: readonly SegmentIndex[];
      /** Encoded session table: ReplicaOptions.sessions, or event sync_done. */
      readonly sessions: Uint8Array;
    };

/** Why a restore cannot go on with a block: fetch it from a peer, repair it, give it again. */
export interface Damage {
  readonly address: BlockAddress;
  readonly digest: Checksum;
}

/** Rebuilds a machine from a manifest and the blocks on disk, a few blocks at a time. Pure. */
export declare class Restorer {
  /** `manifest`: bytes whose digest equals the checkpoint's root (asserted by the caller). */
  constructor(options: {
    readonly hash: Hash;
    readonly manifest: Manifest;
    readonly sink: RestoreSink;
  });
  /** What is wanted now; at most 32 blocks. The same answer until `give`. */
  next(): RestoreStep;
  /** Takes the blocks; returns those that are missing or damaged (then nothing was consumed). */
  give(blocks: readonly (Uint8Array | null)[]): readonly Damage[];
}
