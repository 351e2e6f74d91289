import { opFrom } from "#replica/base/brands.ts";
import type { Checksum, Incarnation, Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import type { CheckpointDescriptor } from "./peer-message.ts";
import type { PrepareHeader } from "./prepare.ts";

/** One voter as genesis or a REPLACE made it known. */
export interface Member {
  readonly replica: ReplicaIndex;
  readonly incarnation: Incarnation;
  /** Ed25519, 64 hex digits: TLS identity and frame signatures. */
  readonly publicKey: string;
  /** Op of the REPLACE that made it a member, or of its last REKEY; absent = by genesis. */
  readonly replaceOp?: Op;
}

/**
 * One opening of a formed volume by a process: the sequence of the first superblock that it wrote,
 * and the log as it was found. A rolled-back copy that is opened leaves a life that no peer knows.
 */
export interface Life {
  readonly sequence: number;
  /** Random, 32 bits: two processes that opened copies of one volume differ. */
  readonly nonce: number;
  readonly logView: View;
  /** Head of the log; null when it was uncertain, then nothing is claimed. */
  readonly op: Op | null;
}

/** How far a volume is known to have come: none of it ever goes back on a sound disk. */
export interface VolumeMark {
  /** Superblock that is durable. */
  readonly sequence: number;
  readonly logView: View;
  /** An op of that log view that is durable; 0 when nothing is claimed. */
  readonly op: Op;
}

/** What a replica remembers of a peer's volume (rule A11), so that a rollback cannot pass. */
export interface PeerMemory extends VolumeMark {
  readonly replica: ReplicaIndex;
  readonly incarnation: Incarnation;
  /** The peer's last opening that was found sound: {@link Life} sequence and nonce. */
  readonly life: number;
  readonly nonce: number;
}

/** Where this volume stands as a voter. */
export interface Standing {
  /** Openings of this volume, oldest first; at most {@link livesMax}. */
  readonly lives: readonly Life[];
  /** At most one a peer. */
  readonly remembered: readonly PeerMemory[];
  /** A peer remembers more of this volume than it holds: only a replacement ends that. */
  readonly lost: boolean;
  /** A learner votes once everything up to here is durable; 0 for others. */
  readonly learnOp: Op;
}

/** Openings that a superblock names. */
export const livesMax = 8;
/** Checkpoints that a superblock keeps beside its newest one. */
export const keptMax = 3;

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
  /**
   * Own checkpoints before {@link checkpoint} whose segments are still here, oldest first, at most
   * {@link keptMax}: the first is the newest that a quorum is known to have, to which a replica
   * behind the ring can sync. Empty when `checkpoint` itself is that one.
   */
  readonly kept: readonly CheckpointDescriptor[];
  readonly quorumCheckpointOp: Op;
  /** True while a replaced replica is a learner (no votes). */
  readonly recovering: boolean;
  /** No vote below this view. */
  readonly voteFloor: View;
  /** Ops whose slots are known to be corrupt: the fault survives a restart. */
  readonly faultyOps: readonly Op[];
  /** Genesis of the slots: first and count of the owned range, and its epoch. */
  readonly slots: { readonly first: number; readonly count: number; readonly epoch: number };
  readonly standing: Standing;
}

/** The standing of a volume as it is formatted. */
export function freshStanding(learnOp: number): Standing {
  return { lives: [], remembered: [], lost: false, learnOp: opFrom(learnOp) };
}
