import type {
  Checksum,
  Incarnation,
  Op,
  ReplicaIndex,
  TimestampUs,
  View,
} from "#replica/base/brands.ts";

/**
 * What a prepare carries. `root`: op 0, made by genesis. `requests`: clients' batches. `noop`:
 * fills the log. `replace`: a member's new incarnation (body: replica, incarnation, public key).
 * `upgrade`: a later version of the machine. `rekey`: a member's next key on the volume that it has
 * (body as of `replace`): what it makes above this op is signed with it.
 */
export type PrepareKind = "root" | "requests" | "noop" | "replace" | "upgrade" | "rekey";

/** A prepare's header: the frame header on the wire and the WAL identifier, whole. */
export interface PrepareHeader {
  readonly kind: PrepareKind;
  readonly op: Op;
  /** View in which it was made; a later primary re-sends it with this header unchanged. */
  readonly view: View;
  readonly author: ReplicaIndex;
  readonly incarnation: Incarnation;
  /** Checksum of the prepare at op - 1; {@link checksumZero} for op 0. */
  readonly parent: Checksum;
  readonly timestampUs: TimestampUs;
  /** What the author knew when it made this. */
  readonly commitMax: Op;
  readonly quorumCheckpointOp: Op;
  /** Id of the author's last durable checkpoint. */
  readonly checkpointId: Checksum;
  /** Version of the machine that must apply this. */
  readonly machineVersion: number;
  /** Requests of the body; in a `replace` or `rekey` the replica that it names. */
  readonly requestsCount: number;
  readonly bodyBytes: number;
  readonly bodyChecksum: Checksum;
  /** SHA-256 of the encoded header without checksum and signature. */
  readonly checksum: Checksum;
  /** Author's Ed25519 signature over `checksum`, 64 bytes; kept with the prepare and relayed. */
  readonly signature: Uint8Array;
}

/** One replicated batch. */
export interface Prepare {
  readonly header: PrepareHeader;
  readonly body: Uint8Array;
}

/** What the maker of a prepare decides; sealing adds checksums and signature. */
export type PrepareFields = Omit<
  PrepareHeader,
  "bodyBytes" | "bodyChecksum" | "checksum" | "signature"
>;

/** Identifies a client's request inside a prepare's body. */
export interface RequestHeader {
  /** Session = op of its registration; 0 in the registration itself. */
  readonly session: Op;
  /** From 1, dense, per session; 0 in the registration. */
  readonly requestNumber: number;
  /** SHA-256 of the body. */
  readonly requestChecksum: Checksum;
  /** Random id of the client process. */
  readonly clientId: string;
  readonly operationsCount: number;
}

/** One client's batch of operations as it stands in a prepare's body. */
export interface Request {
  readonly header: RequestHeader;
  readonly body: Uint8Array;
}
