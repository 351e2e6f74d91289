import { assert } from "#replica/base/assert.ts";
import { incarnationFrom, opFrom, replicaFrom } from "#replica/base/brands.ts";
import { bytesFromHex, hexFrom, readU64, writeU64 } from "#replica/base/bytes.ts";
import { replicasCount } from "#replica/base/limits.ts";
import type { Member } from "#replica/wire/superblock.ts";
import type { Sessions } from "./sessions.ts";

const memberBytes = 4 + 16 + 32 + 8;

/** What consensus itself adds to a checkpoint, equal on all replicas. */
export interface ConsensusState {
  /** Encoded session table. */
  readonly sessions: Uint8Array;
  /** Members made by a REPLACE; the others are those of genesis. */
  readonly members: readonly Member[];
}

/**
 * `members`: of each replica the last REPLACE that was executed, by index. Bytes of sessions u64,
 * sessions, members u32, each replica, incarnation, key, op.
 */
export function encodeConsensusState(sessions: Sessions, members: readonly Member[]): Uint8Array {
  const table = sessions.encode();
  const bytes = new Uint8Array(8 + table.length + 4 + members.length * memberBytes);
  const view = new DataView(bytes.buffer);
  writeU64(view, 0, table.length);
  bytes.set(table, 8);
  let at = 8 + table.length;
  view.setUint32(at, members.length, true);
  at += 4;
  for (const member of members) {
    view.setUint32(at, member.replica, true);
    bytes.set(bytesFromHex(member.incarnation), at + 4);
    bytes.set(bytesFromHex(member.publicKey), at + 20);
    writeU64(view, at + 52, member.replaceOp ?? 0);
    at += memberBytes;
  }
  assert(at === bytes.length, "VSR-32: the state fills its bytes");
  return bytes;
}

/** Reads an encoded state; empty bytes are that of genesis. Asserts its form. */
export function decodeConsensusState(bytes: Uint8Array): ConsensusState {
  if (bytes.length === 0) return { sessions: bytes, members: [] };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = readU64(view, 0);
  assert(8 + length + 4 <= bytes.length, "VSR-32: the state fills its bytes");
  const sessions = bytes.subarray(8, 8 + length);
  let at = 8 + length;
  const count = view.getUint32(at, true);
  at += 4;
  assert(count <= replicasCount, "VSR-32: members of a state");
  assert(at + count * memberBytes === bytes.length, "VSR-32: the state fills its bytes");
  const members = Array.from({ length: count }, () => {
    const member = {
      replica: replicaFrom(view.getUint32(at, true)),
      incarnation: incarnationFrom(hexFrom(bytes.subarray(at + 4, at + 20))),
      publicKey: hexFrom(bytes.subarray(at + 20, at + 52)),
      replaceOp: opFrom(readU64(view, at + 52)),
    };
    at += memberBytes;
    return member;
  });
  return { sessions, members };
}
