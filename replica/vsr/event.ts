import type { Checksum, ClientId, Op, ReplicaIndex } from "#replica/base/brands.ts";
import type { CheckpointDescriptor, PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, Request } from "#replica/wire/prepare.ts";
import type { Member } from "#replica/wire/superblock.ts";

/** Everything that can happen to a replica. Handed to `Replica.step` with the time. */
export type Event =
  /** The deadline that `Replica.deadlineMs` named has passed (or any later moment). */
  | { readonly kind: "timeout" }
  | { readonly kind: "message"; readonly message: PeerMessage }
  /** A peer's connection closed and an immediate reconnect was refused. */
  | { readonly kind: "peer_refused"; readonly replica: ReplicaIndex }
  /** A client's request; answered by a reply or reject effect, or not at all when superseded. */
  | { readonly kind: "request"; readonly request: Request; readonly viewKnown: number }
  | { readonly kind: "prepare_durable"; readonly op: Op; readonly checksum: Checksum }
  | {
      readonly kind: "prepare_read";
      readonly op: Op;
      readonly checksum: Checksum;
      readonly purpose: ReadPurpose;
      readonly prepare: Prepare | null;
    }
  | { readonly kind: "superblock_durable"; readonly sequence: number }
  /** Blocks that the machine asked for, in the order it named them. */
  | { readonly kind: "blocks_loaded"; readonly op: Op; readonly blocks: readonly Uint8Array[] }
  /** The checkpoint begun at `checkpoint.op` has all its segments durable. */
  | { readonly kind: "checkpoint_durable"; readonly checkpoint: CheckpointDescriptor }
  /** State of a peer's checkpoint was fetched, verified, is durable and loaded into the machine. */
  | {
      readonly kind: "sync_done";
      readonly checkpoint: CheckpointDescriptor;
      /** Encoded session table as of that checkpoint. */
      readonly sessions: Uint8Array;
    }
  /** A damaged block of own state was asked of both peers in vain for a while; or that is over. */
  | { readonly kind: "starved"; readonly starved: boolean }
  | { readonly kind: "sync_failed"; readonly checkpoint: CheckpointDescriptor }
  /** Planned transfer (A8), asked by the admin port or by SIGTERM. */
  | { readonly kind: "transfer"; readonly target: ReplicaIndex }
  /** Replacement of a lost volume (A11), commanded from outside; `Replica.replaceRefusal` first. */
  | { readonly kind: "replace"; readonly member: Omit<Member, "replaceOp"> }
  /** The next key of a member on its volume, commanded from outside; see `Replica.rekeyRefusal`. */
  | { readonly kind: "rekey"; readonly member: Omit<Member, "replaceOp"> }
  /** Upgrade of the machine (A12), commanded from outside; `Replica.upgradeRefusal` first. */
  | { readonly kind: "upgrade"; readonly version: number }
  /** The primary of an idle shard makes a no-op: log time moves on (design: audit). */
  | { readonly kind: "pulse" }
  | { readonly kind: "client_gone"; readonly clientId: ClientId };

/** Why a prepare is read back from disk. */
export type ReadPurpose =
  | { readonly kind: "commit" }
  | { readonly kind: "pipeline" }
  | { readonly kind: "repair"; readonly peer: ReplicaIndex }
  /** Nobody asked: a scrub found the slot damaged; `prepare` is null. */
  | { readonly kind: "scrub" };
