import type { Checksum, Op } from "#replica/base/brands.ts";
import type { MachineVersions } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareFields } from "#replica/wire/prepare.ts";
import type { BlockAddress } from "./effect.ts";

/** Checksums and signatures, given to the core so that it never knows which crypto it runs on. */
export interface Sealer {
  /** Completes a prepare made here: checksums, and a signature by this own key (64 hex digits). */
  seal(fields: PrepareFields, body: Uint8Array, publicKey: string): Prepare;
  /** H of a checkpoint's root, parent, op and op checksum: its id. */
  checkpointId(root: Checksum, parentId: Checksum, op: Op, opChecksum: Checksum): Checksum;
}

/**
 * The deterministic machine as consensus sees it; replica/machine implements it.
 * Bodies are opaque to consensus apart from the request headers.
 */
export interface Machine {
  /** Versions that this build can apply, the oldest and the newest. */
  readonly versions: MachineVersions;
  /** Version that applies the next op: part of its state (rule A12). */
  readonly version: number;
  /** Blocks that {@link apply} will read and that are not in memory; few, usually none. */
  needs(prepare: Prepare): readonly BlockAddress[];
  /**
   * Applies a committed prepare; synchronous, deterministic. `blocks` in the order of `needs`.
   * One reply a request, in order; for registrations an empty one.
   */
  apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[];
  /**
   * Called right after apply of the last op of an upgrade, before {@link freeze} of the same op:
   * from the next op on this later version applies. One of {@link versions}.
   */
  upgrade(version: number): void;
  /** Called right after apply of a checkpoint op: later changes belong to the next checkpoint. */
  freeze(op: Op): void;
}
