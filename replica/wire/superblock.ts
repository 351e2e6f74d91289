import type { Checksum, Incarnation, Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import type { CheckpointDescriptor } from "./peer-message.ts";
import type { PrepareHeader } from "./prepare.ts";

/** One voter as genesis or a REPLACE made it known. */
export interface Member {
  readonly replica: ReplicaIndex;
  readonly incarnation: Incarnation;
  /** Ed25519, 64 hex digits: TLS identity and frame signatures. */
  readonly publicKey: string;
}

/** What never changes in a volume's life, written by genesis or replacement. */
export interface VolumeIdentity {
  /** Name of the fleet's cluster, 32 hex digits. */
  readonly cluster: string;
  /** Name of the shard (RoomShard metadata.name). */
  readonly shard: string;
  readonly replica: ReplicaIndex;
  readonly incarnation: Incarnation;
  /** Random name of the shard's genesis, 64 hex digits. */
  readonly formationId: Checksum;
  readonly walSlotsCount: number;
}

/** The superblock's content: everything that one atomic write makes durable together. */
export interface SuperblockState {
  /** From 1, +1 a write. */
  readonly sequence: number;
  readonly identity: VolumeIdentity;
  readonly members: readonly Member[];
  readonly view: View;
  readonly logView: View;
  /** Suffix of the selected log, from its head down; at most pipelineMax + 1. Empty = WAL rules. */
  readonly viewHeaders: readonly PrepareHeader[];
  readonly commitMax: Op;
  readonly checkpoint: CheckpointDescriptor;
  readonly quorumCheckpointOp: Op;
  /** True while a replaced replica is a learner (no votes). */
  readonly recovering: boolean;
  /** No vote below this view. */
  readonly voteFloor: View;
  /** Ops whose slots are known to be corrupt: the fault survives a restart. */
  readonly faultyOps: readonly Op[];
  /** Genesis of the slots: first and count of the owned range, and its epoch. */
  readonly slots: { readonly first: number; readonly count: number; readonly epoch: number };
}
