import { assert } from "./assert.ts";

/** Voters of a shard. */
export const replicasCount = 3;
/** Replicas that must hold a prepare on disk before it commits. */
export const quorumReplication = 2;
/** Replicas that must vote before a new view starts. */
export const quorumViewChange = 2;
/** Replicas that must deny a prepare before a new primary drops it: replicas - replication + 1. */
export const quorumNack = 2;

/** Bytes of every frame header and prepare header on the wire and on disk. */
export const headerBytes = 384;
/** Bytes of a prepare with its header, the size of a WAL slot's payload at most. */
export const prepareBytesMax = 120 * 1024;
/** Bytes of a prepare's body. */
export const prepareBodyBytesMax = prepareBytesMax - headerBytes;
/** Prepares in flight at most; the same on every replica, for ever (view change relies on it). */
export const pipelineMax = 8;

/**
 * A prepare is reported durable while its identifier is not only so far, in ops, above the highest
 * op that the volume surely names after a crash. So a damaged slot that was not seen to hold a
 * newer op cannot have held one further above the head than this.
 */
export function identifierLagMax(slotsCount: number): number {
  return Math.max(2 * pipelineMax, Math.floor(slotsCount / 64));
}

/** Requests of one session in flight at most. */
export const sessionWindowMax = 8;
/** Sessions (edge processes, tools) that a shard remembers. */
export const sessionsMax = 256;
/** Bytes of one request's body (a batch of operations) at most. */
export const requestBodyBytesMax = 96 * 1024;
/** Operations of one request at most. */
export const requestOperationsMax = 4096;
/** Bytes of one request's stored reply at most. */
export const replyBytesMax = 128 * 1024;

/** Bytes of a message's body at most. */
export const messageBodyBytesMax = 16 * 1024;
/** Bytes of a room id, user id or tenant id in UTF-8 at most. */
export const nameBytesMax = 128;
/** Entries of one read at most. */
export const readEntriesMax = 200;
/** Slots of one slot space (tenant, room) at most and always. */
export const slotsCount = 4096;
/** Bytes of a power-fail-atomic unit on disk. */
export const diskUnitBytes = 4096;
/** Bytes of one slot of the prepares ring. */
export const walSlotBytes = 128 * 1024;

assert(quorumReplication + quorumViewChange > replicasCount, "BAS-05: quorums must intersect");
assert(quorumNack === replicasCount - quorumReplication + 1, "BAS-05: nack quorum");
assert(requestBodyBytesMax + 1024 <= prepareBodyBytesMax, "BAS-05: a request fits a prepare");
assert(prepareBytesMax % diskUnitBytes === 0, "BAS-05: whole units");
assert(walSlotBytes - prepareBytesMax >= 8 * 1024, "BAS-05: a slot holds its trailers");
