import type { Incarnation, ReplicaIndex } from "#replica/base/brands.ts";
import type { publicKeyFrom } from "#replica/crypto/ed25519.ts";
import type { FrameScope } from "#replica/wire/frame.ts";
import type { TlsMaterial } from "./tls-options.ts";

/** An Ed25519 key of either kind; the type comes by way of replica/crypto, the door to it. */
export type Key = NonNullable<ReturnType<typeof publicKeyFrom>>;

/** Facts of a log line. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** What happened on the link to one peer since the process started; for metrics. */
export interface PeerCounts {
  framesSent: number;
  bytesSent: number;
  framesReceived: number;
  bytesReceived: number;
  /** Connections that became usable. */
  connects: number;
  /** Not sent: no connection. */
  droppedDown: number;
  /** Not sent: the queue was full. Consensus sends again. */
  droppedFull: number;
  /** Refused certificates: not a member, another shard, another key. */
  refusedIdentity: number;
  /** Dropped: a signature that is not the sender's or the author's. */
  refusedSignature: number;
  /** Dropped: counter not above the last one of this connection. */
  refusedReplay: number;
  /** Dropped: of an incarnation that is no member (any more). */
  refusedStale: number;
  /** Dropped: malformed, wrong checksum, of another cluster or shard. */
  refusedFrame: number;
  /** Dropped unverified: acks that would have changed nothing. */
  acksSkipped: number;
  /** Passed on unverified: relayed prepares of an author that has been replaced since. */
  authorsGone: number;
}

/** Counts that start at zero. */
export function noPeerCounts(): PeerCounts {
  return {
    framesSent: 0,
    bytesSent: 0,
    framesReceived: 0,
    bytesReceived: 0,
    connects: 0,
    droppedDown: 0,
    droppedFull: 0,
    refusedIdentity: 0,
    refusedSignature: 0,
    refusedReplay: 0,
    refusedStale: 0,
    refusedFrame: 0,
    acksSkipped: 0,
    authorsGone: 0,
  };
}

/** A member with its key ready for verification. */
export interface PeerMember {
  readonly replica: ReplicaIndex;
  readonly incarnation: Incarnation;
  readonly publicKey: string;
  readonly key: Key;
}

/**
 * A key of this replica, with its certificate. While the key changes there are two: a peer that has
 * not executed the change yet takes the former one only.
 */
export interface OwnKey {
  /** Ed25519, 64 hex digits. */
  readonly publicKey: string;
  /** Signs frames. */
  readonly privateKey: Key;
  readonly tls: TlsMaterial;
}

/** What all connections of one replica to its peers share. */
export interface PeerScope {
  readonly self: { readonly replica: ReplicaIndex; readonly incarnation: Incarnation };
  readonly cluster: string;
  readonly shard: string;
  readonly frames: FrameScope;
  /** A frame is sent at least this often, so that a dead path is noticed, ms. */
  readonly peerAliveMs: number;
  /** A connection that brought nothing for this long is closed and dialled anew, ms. */
  readonly peerSilenceMs: number;
  /** Own keys that a connection may have, read at every dial; the first is that of now. */
  readonly keys: () => readonly OwnKey[];
  /** The member at an index with the key that is its own for ever; null while it is not known. */
  member(replica: ReplicaIndex): PeerMember | null;
  /** The member at an index with that key, when it counts now, by the log or what is executed. */
  accepted(replica: ReplicaIndex, publicKey: string | null): PeerMember | null;
  /** A member with each key that may have signed that op; none: they are not known any more. */
  authorKeys(replica: ReplicaIndex, incarnation: Incarnation, op: number): readonly PeerMember[];
  log(what: string, facts: LogFacts): void;
}
