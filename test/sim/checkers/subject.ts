import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { Host } from "#replica/server/host.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";

/** A rule of the protocol was broken: the run fails. The message begins with the rule's number. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** A machine as checkers see it. */
export interface Subject {
  readonly index: ReplicaIndex;
  /** The process, or null while it is down. */
  readonly host: Host | null;
  /** Header of the whole prepare that was made durable for an op; faults of the medium aside. */
  truthHeader(op: number): PrepareHeader | null;
  /** The same of a volume that this machine lost since: it did hold it. */
  lostHeader(op: number): PrepareHeader | null;
  /** Leaves of the newest head of the shard's log that it signed and durably remembers. */
  readonly signedSize: number;
  /** Op of the checkpoint that the durable superblock names. */
  truthCheckpoint(): number;
}
