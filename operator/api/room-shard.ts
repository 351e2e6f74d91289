/** API group of our kinds. */
export const group = "tigerchat.dev";
/** The one served version. */
export const version = "v1alpha1";
/** `apiVersion` of a RoomShard. */
export const apiVersion = `${group}/${version}`;
/** `kind` of a RoomShard. */
export const kind = "RoomShard";

/** A range of slots, 0 to 4,095. */
export interface SlotRange {
  readonly first: number;
  readonly count: number;
}

/** A toleration of a pod, as core/v1 has it. */
export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
  readonly tolerationSeconds?: number;
}

/** What a person asks of a shard, defaults filled in. `spec-schema.ts` documents each field. */
export interface RoomShardSpec {
  readonly fleet: string;
  readonly tenant: string;
  readonly initialSlots?: SlotRange;
  readonly replicas: number;
  readonly lifecycle: "Active" | "Draining" | "Hibernated";
  readonly paused: boolean;
  readonly fenced: readonly number[];
  readonly image: string;
  readonly update: { readonly policy: "Automatic" | "OnRequest" };
  readonly storage: {
    readonly size: string;
    readonly className?: string;
    readonly walSize: string;
  };
  readonly keys: { readonly windowHours: number; readonly max: number };
  readonly encryption?: { readonly keySecretName: string };
  readonly resources: {
    readonly requests: { readonly cpu: string; readonly memory: string };
    readonly limits: { readonly memory: string; readonly cpu?: string };
  };
  readonly scheduling: {
    readonly hosts: "Required" | "Preferred";
    readonly zones: "Required" | "Preferred";
    readonly nodeSelector?: { readonly [label: string]: string };
    readonly tolerations?: readonly Toleration[];
    readonly priorityClassName?: string;
  };
  readonly primary: {
    readonly placement: "Automatic" | "Recommend" | "Off";
    readonly preferred?: number;
  };
  readonly drain: { readonly automatic: "Recommend" | "Enabled" | "Off" };
  readonly timing: {
    readonly heartbeatMs: number;
    readonly suspectMs: number;
    readonly viewChangeMs: number;
  };
  readonly quorum: { readonly replication: number; readonly viewChange: number };
  readonly retention: { readonly days: number };
}

/** One word for the state of a shard. */
export type Phase = (typeof phases)[number];

/** Every phase, in the order of a shard's life. */
export const phases = [
  "Pending",
  "Forming",
  "Serving",
  "Degraded",
  "Updating",
  "Draining",
  "Hibernated",
  "Stopped",
  "Lost",
] as const;

/** One word for the state of a member. */
export type MemberState = (typeof memberStates)[number];

/** Every state of a member. */
export const memberStates = [
  "Missing",
  "Starting",
  "Unformatted",
  "Formatted",
  "Voting",
  "ViewChange",
  "Recovering",
  "Learner",
  "Poisoned",
  "Stopped",
  "Unreachable",
] as const;

/** One replica as the operator last saw it. */
export interface Member {
  readonly replica: number;
  readonly state: MemberState;
  readonly caughtUp: boolean;
  readonly incarnation?: string;
  readonly publicKey?: string;
  readonly claimUID?: string;
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  readonly version?: string;
  readonly message: string;
}

/** A condition, as metav1.Condition has it. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

/** The last decision that the operator took about a shard, with what it was based on. */
export interface Decision {
  readonly time: string;
  readonly action: string;
  readonly result: string;
  readonly reason: string;
  readonly inputs?: { readonly [name: string]: string };
}

/** What the operator reports; never an authority for it. */
export interface RoomShardStatus {
  readonly observedGeneration?: number;
  readonly phase?: Phase;
  readonly clusterID?: string;
  readonly primary?: number;
  readonly view?: number;
  readonly voting?: string;
  readonly version?: string;
  readonly image?: string;
  readonly templateHash?: { readonly target?: string; readonly proven?: string };
  readonly slots?: { readonly owned: number; readonly epoch: number };
  readonly nodes?: string;
  readonly members?: readonly Member[];
  readonly lastDecision?: Decision;
  readonly conditions?: readonly Condition[];
}

/** The parts of ObjectMeta that we read. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly deletionTimestamp?: string;
  readonly creationTimestamp?: string;
  readonly labels?: { readonly [name: string]: string };
  readonly annotations?: { readonly [name: string]: string };
}

/** A shard as the API server or a manifest file gives it, defaults filled in. */
export interface RoomShard {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: RoomShardSpec;
  readonly status?: RoomShardStatus;
}
