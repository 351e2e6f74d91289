import type { Checksum, ClientId, Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import type { CheckpointDescriptor, PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, RequestHeader } from "#replica/wire/prepare.ts";
import type { Member, SuperblockState } from "#replica/wire/superblock.ts";
import type { ReadPurpose } from "./event.ts";

/** Why a request was not taken. Definite: it will never be executed by this attempt. */
export type RejectReason =
  /** Not the primary, or a view change is under way; `view` says what is known. */
  | "not_primary"
  /** A queue is full; try again after `retryMs`. */
  | "busy"
  /** The session was evicted or never registered; register again. */
  | "no_session"
  /** Same session and number, other body: a bug of the client. */
  | "request_mismatch"
  /** Number too far ahead of the last one taken. */
  | "out_of_order";

/** Everything that a replica can want done. The host executes effects in order. */
export type Effect =
  /** To one peer; signed and framed by the transport. Sending may silently fail. */
  | { readonly kind: "send"; readonly to: ReplicaIndex; readonly message: PeerMessage }
  | { readonly kind: "write_prepare"; readonly prepare: Prepare }
  | {
      readonly kind: "read_prepare";
      readonly op: Op;
      readonly checksum: Checksum;
      readonly purpose: ReadPurpose;
    }
  | { readonly kind: "write_superblock"; readonly state: SuperblockState }
  /** Addresses come from `Machine.needs`; answered by blocks_loaded. */
  | { readonly kind: "load_blocks"; readonly op: Op; readonly addresses: readonly BlockAddress[] }
  /** Sent only by the primary of the current view, only after commit. */
  | {
      readonly kind: "reply";
      readonly request: RequestHeader;
      readonly view: View;
      readonly op: Op;
      readonly body: Uint8Array;
    }
  | {
      readonly kind: "reject";
      readonly clientId: ClientId;
      readonly request: RequestHeader;
      readonly reason: RejectReason;
      readonly view: View;
      readonly retryMs: number;
    }
  /** `machine.apply` ran for this op; the host drains the machine's facts and fans them out. */
  | { readonly kind: "committed"; readonly op: Op; readonly view: View }
  /** `machine.freeze` ran at `op`; write what changed, then report checkpoint_durable. */
  | {
      readonly kind: "write_checkpoint";
      readonly op: Op;
      readonly opChecksum: Checksum;
      readonly parentId: Checksum;
      readonly sessions: Uint8Array;
    }
  /**
   * This checkpoint is durable here and at a quorum. What neither its manifest nor that of a newer
   * checkpoint of ours refers to may go; peers may still sync to this one (get_chunk).
   */
  | { readonly kind: "checkpoint_installed"; readonly checkpoint: CheckpointDescriptor }
  | {
      readonly kind: "sync";
      readonly target: CheckpointDescriptor;
      readonly source: ReplicaIndex;
    }
  /**
   * The members changed: connections of a replaced incarnation end. `members` by the whole log,
   * `committed` by what is executed: between them both keys of a member count.
   */
  | {
      readonly kind: "members";
      readonly members: readonly Member[];
      readonly committed: readonly Member[];
    }
  /** Status, view or primary changed; for metrics, logs and clients. */
  | { readonly kind: "status" }
  /** Something a person must know; `what` names what is missing. */
  | { readonly kind: "alarm"; readonly what: string }
  /** The process must end: this disk or this state may no longer take part. */
  | { readonly kind: "stop"; readonly why: string };

/** Place of one block of machine state on disk. */
export interface BlockAddress {
  readonly segment: string;
  readonly block: number;
}
