import type { Checksum, Incarnation, Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import type { Prepare, PrepareHeader } from "./prepare.ts";
import type { Life, Member, VolumeMark } from "./superblock.ts";

/** What a replica is doing, as it tells its peers; numbers on the wire, never reordered. */
export const replicaStatuses = [
  "normal",
  "view_change",
  "recovering_head",
  /** A normal backup that fetches a checkpoint. */
  "syncing",
  /** A replaced volume that has no vote yet. */
  "learner",
  /** The volume was rolled back or replaced: no vote, for ever. */
  "lost",
] as const;

/** One of {@link replicaStatuses}. */
export type ReplicaStatus = (typeof replicaStatuses)[number];

/** Judgement on a peer's volume (rule A11). */
export type VolumeVerdict = "unknown" | "sound" | "rolled_back";

/** Versions of the machine that a build can apply (rule A12). */
export interface MachineVersions {
  /** From 1. */
  readonly min: number;
  /** At least `min`, below 2^16. */
  readonly max: number;
}

/** What every frame between replicas says of its sender; authenticated before it is decoded. */
export interface PeerEnvelope {
  readonly from: ReplicaIndex;
  readonly incarnation: Incarnation;
  /** Sender's view when it sent this. */
  readonly view: View;
}

/** A durable checkpoint: what a replica's state is as of an op. */
export interface CheckpointDescriptor {
  /** H(root, parentId, op, opChecksum). */
  readonly id: Checksum;
  readonly parentId: Checksum;
  readonly op: Op;
  readonly opChecksum: Checksum;
  /** Digest of the manifest, over plaintext, equal on all replicas. */
  readonly root: Checksum;
  /** Bytes of the encoded manifest. */
  readonly manifestBytes: number;
}

/** VRR and reference messages between replicas (VRR 2012 section 4). */
export type PeerMessage = PeerEnvelope &
  (
    | { readonly kind: "prepare"; readonly prepare: Prepare }
    | {
        readonly kind: "prepare_ok";
        /** Cumulative: every op in (commitMax, op] of this view's log is durable at the sender. */
        readonly op: Op;
        readonly checksum: Checksum;
        readonly commitMin: Op;
        readonly checkpointOp: Op;
      }
    | {
        readonly kind: "commit";
        readonly commitMax: Op;
        readonly commitChecksum: Checksum;
        readonly checkpoint: CheckpointDescriptor;
        readonly quorumCheckpointOp: Op;
        readonly monotonicMs: number;
      }
    | { readonly kind: "start_view_change" }
    | {
        readonly kind: "do_view_change";
        readonly logView: View;
        readonly op: Op;
        readonly commitMin: Op;
        readonly commitMax: Op;
        readonly checkpoint: CheckpointDescriptor;
        readonly quorumCheckpointOp: Op;
        /** From `op` down; null = blank. */
        readonly headers: readonly (PrepareHeader | null)[];
        /** One flag a header, same order. */
        readonly present: readonly boolean[];
        readonly nack: readonly boolean[];
      }
    | {
        readonly kind: "start_view";
        readonly op: Op;
        readonly commitMax: Op;
        readonly checkpoint: CheckpointDescriptor;
        readonly quorumCheckpointOp: Op;
        /** From `op` down to at most commitMax. */
        readonly headers: readonly PrepareHeader[];
        /** Nonce of the GET_VIEW that this answers, or 0. */
        readonly nonce: number;
      }
    | { readonly kind: "get_view"; readonly nonce: number }
    | { readonly kind: "get_headers"; readonly opFirst: Op; readonly opLast: Op }
    | { readonly kind: "headers"; readonly headers: readonly PrepareHeader[] }
    | { readonly kind: "get_prepare"; readonly op: Op; readonly checksum: Checksum }
    | {
        readonly kind: "get_chunk";
        readonly checkpointId: Checksum;
        /** "" = the manifest; else a segment of it. */
        readonly segment: string;
        readonly block: number;
      }
    | {
        readonly kind: "chunk";
        readonly checkpointId: Checksum;
        readonly segment: string;
        readonly block: number;
        readonly bytes: Uint8Array;
      }
    | {
        /** The sender has seen the shard's log of this size with this root, and signs that. */
        readonly kind: "cosign";
        /** Leaves. */
        readonly size: number;
        readonly root: Checksum;
        /** Sender's wall clock, seconds since 1970: part of what is signed. */
        readonly timeS: number;
        /** Ed25519 of a cosignature/v1, 64 bytes. */
        readonly signature: Uint8Array;
      }
    | {
        readonly kind: "ping" | "pong";
        /** Of the pinger; a pong returns it. Zero: the ping tells only and wants no pong. */
        readonly monotonicMs: number;
        readonly wallClockUs: number;
        readonly formationId: Checksum;
        /** What the sender's build can apply. */
        readonly versions: MachineVersions;
        readonly commitMin: Op;
        /** Openings of the sender's volume, the present one last; empty before formation. */
        readonly lives: readonly Life[];
        /** Members made by a REPLACE that the sender knows to be committed, of each the last. */
        readonly replaced: readonly Member[];
        readonly mark: VolumeMark;
        /** What the sender holds of the receiver's last opening that it heard of. */
        readonly yours: {
          readonly life: number;
          readonly nonce: number;
          readonly verdict: VolumeVerdict;
        };
        readonly status: ReplicaStatus;
        /** A replaced volume that has not caught up: no votes. */
        readonly learner: boolean;
        readonly voteFloor: View;
        /** Newest checkpoint that is durable at the sender. */
        readonly checkpointOp: Op;
        readonly checkpointId: Checksum;
      }
  );

/** Names of the messages between replicas. */
export type PeerMessageKind = PeerMessage["kind"];
