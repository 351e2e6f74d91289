import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Manifest } from "./manifest.ts";
import type { BlockAddress, Hash, SegmentWrite } from "./port.ts";

/**
 * Plans the fetching of a peer's checkpoint: manifest, then of each segment that is not here its
 * head block, then the blocks. Every block is checked against digests that lead up to the target's
 * root. Pure: the host sends get_chunk, writes segments, and retries what got lost.
 */
export declare class SyncSession {
  /** `localIds`: segments that are durable here with their digests (a manifest of this disk). */
  constructor(options: {
    readonly hash: Hash;
    readonly target: CheckpointDescriptor;
    readonly local: Manifest | null;
  });
  /**
   * Chunks to ask for, oldest first, at most `max`, without those asked for and not yet answered.
   * `segment` "" = the manifest (`block` = chunk of it), as in the message get_chunk.
   */
  wants(max: number): readonly BlockAddress[];
  /** Asks again for everything that was asked for and did not come (a timer of the host). */
  forgetAsked(): void;
  /** A chunk came. `bad`: its bytes are wrong (another peer's answer may be right). */
  receive(segment: string, block: number, bytes: Uint8Array): "ok" | "bad" | "unwanted";
  /** Segments complete and verified since the last call: write them, then call `written`. */
  takeWrites(): readonly SegmentWrite[];
  /** A segment of takeWrites (the manifest's own among them) is durable. */
  written(id: string): void;
  /** True when everything of the target is durable here; then restore from `manifest`. */
  readonly complete: boolean;
  /** The target's manifest once it was received. */
  readonly manifest: Manifest | null;
  /** Blocks fetched and left, for status. */
  readonly progress: { readonly fetched: number; readonly left: number };
}
