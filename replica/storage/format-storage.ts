import type { Checksum, View } from "#replica/base/brands.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareFields } from "#replica/wire/prepare.ts";
import type { Member, SuperblockState, VolumeIdentity } from "#replica/wire/superblock.ts";
import type { Refusal, StorageTools } from "./storage-tools.ts";

/** What genesis, or the replacement of a lost disk, decides about a volume. */
export interface FormatOptions extends StorageTools {
  readonly identity: VolumeIdentity;
  readonly members: readonly Member[];
  readonly slots: SuperblockState["slots"];
  /** Op 0, from {@link genesisRoot}: equal on all replicas but for nothing. */
  readonly root: Prepare;
  /** Of op 0, equal on all replicas. */
  readonly checkpoint: CheckpointDescriptor;
  /** True for a replacement: the replica is a learner until it has caught up (A11). */
  readonly recovering: boolean;
  /** 0 at genesis; A11 step 3 at replacement. */
  readonly voteFloor: View;
}

/** The root prepare of a formation: the same bytes on every replica, so it bears no signature. */
export function genesisRoot(
  _seal: (fields: PrepareFields, body: Uint8Array) => Prepare,
  _formationId: Checksum,
  _body: Uint8Array,
): Prepare {
  throw new Error("not built yet");
}

/** The checkpoint of op 0 for a machine whose empty state has that root digest. */
export function genesisCheckpoint(
  _root: Prepare,
  _id: Checksum,
  _manifestRoot: Checksum,
): CheckpointDescriptor {
  throw new Error("not built yet");
}

/**
 * Formats an empty volume: both rings zero-filled, root prepare, then the first superblock, which
 * makes it formatted. Refuses a formatted one; a half-formatted one is formatted again.
 */
export function formatStorage(
  _options: FormatOptions,
  _done: (r: { readonly ok: true } | Refusal) => void,
): void {
  throw new Error("not built yet");
}
