import type { RoomShard } from "#operator/api/room-shard.ts";

/** What a replica says of itself over its admin port: the part of its status that we decide on. */
export interface ReplicaReport {
  readonly state: string;
  readonly incarnation: string | null;
  readonly publicKey: string | null;
  /** A key that a rotation made and that is not alone yet; absent: none is under way. */
  readonly nextKey?: string;
  readonly formationId: string | null;
  readonly view: number | null;
  readonly primary: number | null;
  readonly voting: boolean;
  readonly caughtUp: boolean;
  readonly slots: { readonly owned: number; readonly epoch: number };
  readonly version: string;
  /** Version of the machine that runs, and those that this build knows. */
  readonly machine: { readonly version: number | null; readonly min: number; readonly max: number };
  readonly message: string;
}

/** A replica's pod, read live. */
export interface ObservedPod {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly node: string;
  readonly ready: boolean;
  /** A container of it runs now. */
  readonly running: boolean;
  readonly terminating: boolean;
  /** Semantic template that it was made from; "" when unknown. */
  readonly templateHash: string;
  readonly createdMs: number;
  /** Why it cannot start, as scheduler or kubelet say: Unschedulable, ErrImagePull …; or "". */
  readonly stuckReason: string;
  /** Last termination message of its container; "" when there is none. */
  readonly lastMessage: string;
}

/** How sure the operator is of who answers at a pod's admin port. */
export type Certification = "valid" | "renew" | "missing" | "unknown";

/** One replica with everything that is known about it now. */
export interface ObservedMember {
  readonly replica: number;
  readonly pod?: ObservedPod;
  readonly claim?: { readonly uid: string; readonly genesis: GenesisRecord | null };
  readonly report?: ReplicaReport;
  readonly certification: Certification;
}

/** Facts of a genesis as recorded on the claims, before each step. */
export interface GenesisRecord {
  readonly step: "identify" | "format" | "done";
  /** Random, 64 hex digits. */
  readonly formationId: string;
  /** Identity of the fleet, 32 hex digits. */
  readonly cluster: string;
  /** Slot space that the slots are in. */
  readonly tenant: string;
  readonly slots: { readonly first: number; readonly count: number; readonly epoch: number };
  /** The voters; known from step "format" on. Empty when adopted from formatted disks. */
  readonly members: readonly {
    readonly replica: number;
    readonly incarnation: string;
    readonly publicKey: string;
  }[];
  /** The last change of a voter's key that was asked for, or is under way; absent: none. */
  readonly rotation?: KeyRotation;
}

/** Another key of a replica on the volume that it has, recorded before it can count. */
export interface KeyRotation {
  /** Value of the annotation that asked for it; "" when it was found under way. */
  readonly request: string;
  readonly replica: number;
  /** Public half of the key that goes, 64 hex digits. */
  readonly retire: string;
  /** Public half of the key that comes. */
  readonly next: string;
  /** False until the former key is destroyed. */
  readonly done: boolean;
}

/** The StatefulSet, as far as rolls are concerned. */
export interface ObservedTemplate {
  /** Hash of the template that the manifest asks for. */
  readonly wanted: string;
  /** Hash of the template in the StatefulSet now; "" when there is none. */
  readonly current: string;
  /** Hash of the last template that all three ran and were caught up with; "" = none yet. */
  readonly proven: string;
  /** Hash of a template whose roll failed; "" = none. */
  readonly failed: string;
}

/** Everything that decisions about a shard are made from. */
export interface ObservedShard {
  readonly shard: RoomShard;
  readonly nowMs: number;
  readonly template: ObservedTemplate;
  /** Three, by index. */
  readonly members: readonly ObservedMember[];
}
