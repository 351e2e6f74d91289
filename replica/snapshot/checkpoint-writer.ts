import type { Checksum, Op } from "#replica/base/brands.ts";
import type { Manifest } from "./manifest.ts";
import type { BlockAddress, FrozenDelta, Hash, SegmentWrite } from "./port.ts";
import type { SegmentIndex } from "./segment-index.ts";

/** What {@link CheckpointWriter.step} wants next. */
export type WriterStep =
  /** Nothing to do before the next `begin`. */
  | { readonly kind: "idle" }
  /** Work is left; call again, after other events had their turn. */
  | { readonly kind: "more" }
  /** Waits for writes or reads that were handed out. */
  | { readonly kind: "waiting" }
  /** Make this segment durable, then call `written(id)`. Further steps may be taken meanwhile. */
  | { readonly kind: "write"; readonly segment: SegmentWrite }
  /** Load these blocks (for a merge), then call `loaded(blocks)` in this order. */
  | { readonly kind: "read"; readonly addresses: readonly BlockAddress[] }
  /**
   * Every segment of the checkpoint is durable. Make the manifest durable (`manifestWrite(op,
   * bytes)` is the segment for it), then report checkpoint_durable with `root`, manifestBytes =
   * bytes.length and id = sealer.checkpointId(…). Given once a checkpoint.
   */
  | {
      readonly kind: "ready";
      readonly op: Op;
      readonly root: Checksum;
      readonly manifest: Uint8Array;
    };

/** What an installed checkpoint changes for the host. */
export interface Installed {
  /** For `machine.release(op, history)`. */
  readonly history: readonly SegmentIndex[];
  /** Segments that nothing refers to any more: `storage.removeSegments(garbage)`. */
  readonly garbage: readonly string[];
}

/** Turns frozen deltas into immutable segments, merges them, keeps the manifest. Pure. */
export declare class CheckpointWriter {
  /** Starts from the state on disk: the Restorer gives both (genesis: decoded manifest, []). */
  constructor(options: {
    readonly hash: Hash;
    readonly manifest: Manifest;
    readonly segments: readonly SegmentIndex[];
    /** Bytes of a data block at most, ≤ 64 KiB; default 32 KiB. Equal on all replicas. */
    readonly blockBytes?: number;
    /** Bytes of one segment at most; default 16 MiB. Equal on all replicas. */
    readonly segmentBytes?: number;
  });

  /** True while a checkpoint is being written: step at once. False: only merges, step at leisure. */
  readonly urgent: boolean;

  /** Begins the checkpoint of this delta (effect write_checkpoint); queued behind one under way. */
  begin(delta: FrozenDelta, sessions: Uint8Array): void;
  /** Does at most about `bytesMax` bytes of work (64 KiB ≈ 0.3 ms) and says what is wanted. */
  step(bytesMax: number): WriterStep;
  /** The segment of a `write` step is durable. */
  written(id: string): void;
  /** Blocks of a `read` step, in its order, all present (repair a damaged one first). */
  loaded(blocks: readonly Uint8Array[]): void;
  /** Effect checkpoint_installed of this op. */
  installed(op: Op): Installed;
  /** Digest that a block of a live segment must have; null when the segment is not known. */
  blockDigest(address: BlockAddress): Checksum | null;
}
