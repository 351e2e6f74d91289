import { assert } from "./assert.ts";
import { hexFrom } from "./bytes.ts";

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Position in a shard's VSR log. 0 is the root prepare of genesis; safe integer. */
export type Op = Brand<number, "Op">;
/** View number of a shard; its primary is view mod 3. Safe integer from 0. */
export type View = Brand<number, "View">;
/** Index of a replica in its shard, 0 to 2. */
export type ReplicaIndex = Brand<number, "ReplicaIndex">;
/** Position of an entry in a room, from 1, dense. */
export type Seq = Brand<number, "Seq">;
/** Log time: microseconds since the Unix epoch, strictly increasing along the log. */
export type TimestampUs = Brand<number, "TimestampUs">;
/** SHA-256 as 64 lower-case hex digits. */
export type Checksum = Brand<string, "Checksum">;
/** Random name of one life of a replica's disk: 32 lower-case hex digits. */
export type Incarnation = Brand<string, "Incarnation">;
/** Random name of a client process (an edge) at a shard: 32 lower-case hex digits. */
export type ClientId = Brand<string, "ClientId">;

const hex64 = /^[0-9a-f]{64}$/;
const hex32 = /^[0-9a-f]{32}$/;

function count(value: number, what: string): number {
  // The text is made only for a failure: this runs hundreds of times a prepare.
  if (!Number.isSafeInteger(value) || value < 0) assert(false, `BAS-01: ${what} ${value}`);
  return value;
}

/** Checks and brands an op. Asserts a safe integer from 0. */
export function opFrom(value: number): Op {
  return count(value, "op") as Op;
}

/** Checks and brands a view. Asserts a safe integer from 0. */
export function viewFrom(value: number): View {
  return count(value, "view") as View;
}

/** Checks and brands a replica index. Asserts 0 to 2. */
export function replicaFrom(value: number): ReplicaIndex {
  if (value !== 0 && value !== 1 && value !== 2) assert(false, `BAS-01: replica ${value}`);
  return value as ReplicaIndex;
}

/** Checks and brands a position in a room. Asserts a safe integer from 0 (0 = before the first). */
export function seqFrom(value: number): Seq {
  return count(value, "seq") as Seq;
}

/** Checks and brands a log time in microseconds. */
export function timestampFrom(value: number): TimestampUs {
  return count(value, "timestamp") as TimestampUs;
}

/** Brands a checksum. Asserts 64 lower-case hex digits. */
export function checksumFrom(value: string): Checksum {
  assert(hex64.test(value), "BAS-01: checksum");
  return value as Checksum;
}

/** The checksum that 32 bytes are: their hex is one, so no digit is looked at. */
export function checksumOf(bytes: Uint8Array): Checksum {
  assert(bytes.length === 32, "BAS-01: bytes of a checksum");
  return hexFrom(bytes) as Checksum;
}

/** Brands an incarnation. Asserts 32 lower-case hex digits. */
export function incarnationFrom(value: string): Incarnation {
  assert(hex32.test(value), "BAS-01: incarnation");
  return value as Incarnation;
}

/** Brands a client id. Asserts 32 lower-case hex digits. */
export function clientIdFrom(value: string): ClientId {
  assert(hex32.test(value), "BAS-01: client id");
  return value as ClientId;
}

/** The checksum of nothing: parent of the root prepare. */
export const checksumZero = checksumFrom("0".repeat(64));
