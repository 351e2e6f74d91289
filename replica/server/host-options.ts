import type { WriterCounts } from "#replica/snapshot/checkpoint-writer.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { Hash } from "#replica/snapshot/port.ts";
import type { TimingConfig } from "#replica/base/timing.ts";
import type { BatchOptions } from "#replica/vsr/options.ts";
import type { Sealer } from "#replica/vsr/port.ts";
import type { ServerMessage } from "#replica/wire/client-message.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { RecoveredState, Storage } from "#replica/wire/storage-port.ts";
import type { Member } from "#replica/wire/superblock.ts";
import type { CosignPorts } from "./cosigning.ts";
import type { MemberHistory } from "./member-keys.ts";
import type { Opening } from "./opening.ts";
import type { HashTrees } from "./proofs.ts";

/** The world of a host: what differs between production and the simulator. */
export interface HostPorts {
  /** Monotonic, may be fractional. */
  readonly nowMs: () => number;
  /** Wall clock, integer microseconds. */
  readonly wallUs: () => number;
  /** To a peer; may silently fail. */
  readonly send: (to: ReplicaIndex, message: PeerMessage) => void;
  /** To a client's connection; may silently fail. */
  readonly toClient: (connection: number, message: ServerMessage) => void;
  /** Calls `run` once, after this call, when other events had their turn. */
  readonly later: (run: () => void) => void;
  /** `deadlineMs` or `workWanted` may have changed. */
  readonly wake: () => void;
  /** Status, view or primary may have changed. */
  readonly status: () => void;
  readonly alarm: (what: string) => void;
  /** A REPLACE or REKEY is in the log, was dropped from it, or is committed: whose frames count. */
  readonly members?: (members: readonly Member[], committed: readonly Member[]) => void;
  /**
   * While opening: the own checkpoint is damaged, so frames of peers go to this instead of a host.
   * Without it such a volume is refused.
   */
  readonly opening?: (opening: Opening) => void;
  /** The process must end; nothing is called after it. */
  readonly stop: (why: string) => void;
  /** A latency in milliseconds, for metrics. */
  readonly observe: (what: "wal_write" | "commit", ms: number) => void;
}

/** What a host is made of. */
export interface HostOptions {
  readonly replica: ReplicaIndex;
  readonly recovered: RecoveredState;
  readonly storage: Storage;
  /** Fresh: the restore fills it. */
  readonly machine: ChatMachine;
  /** Manifest of op 0 (`genesisManifest(ChatMachine.genesisState(genesis))`). */
  readonly genesisManifest: Uint8Array;
  readonly hash: Hash;
  readonly sealer: Sealer;
  readonly seed: number;
  readonly timing: TimingConfig;
  readonly quorum: { readonly replication: number; readonly viewChange: number };
  readonly batch: BatchOptions;
  readonly ports: HostPorts;
  /** Bytes a second that a state sync fetches at most. */
  readonly syncBytesPerS?: number | undefined;
  /** Keys and memory for signing the shard's log; without it nothing is proved (simulators). */
  readonly proofs?: CosignPorts & {
    readonly origin: string;
    readonly hashTrees: HashTrees;
    /** Members of before; without it only the keys of now are told. */
    readonly history?: MemberHistory;
  };
}

/** Counters since the start, for metrics. */
export interface HostCounts extends WriterCounts {
  prepares: number;
  checkpoints: number;
  viewChanges: number;
  alarms: number;
}

/** Nothing has happened yet. */
export function countsAtStart(): HostCounts {
  const work = { merges: 0, sweeps: 0, sweptSegments: 0, sweptBytes: 0 };
  return { prepares: 0, checkpoints: 0, viewChanges: 0, alarms: 0, ...work };
}
