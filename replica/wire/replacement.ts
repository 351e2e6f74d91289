import { assert } from "#replica/base/assert.ts";
import { incarnationFrom, type Op, replicaFrom } from "#replica/base/brands.ts";
import { Reader, Writer } from "./cursor.ts";
import type { Prepare } from "./prepare.ts";
import type { Member } from "./superblock.ts";

const bodyBytes = 4 + 16 + 32;

/** Body of a REPLACE or REKEY: replica u32, incarnation 16, Ed25519 public key 32. */
export function encodeReplacement(member: Omit<Member, "replaceOp">): Uint8Array {
  const w = new Writer(new Uint8Array(bodyBytes), 0);
  w.u32(member.replica);
  w.hex(member.incarnation, 16);
  w.hex(member.publicKey, 32);
  return w.bytes;
}

/** The member that a REPLACE or REKEY makes. Asserts its form: primaries make only such bodies. */
export function replacementOf(prepare: Prepare): Member & { readonly replaceOp: Op } {
  const { body, header } = prepare;
  const named = header.kind === "replace" || header.kind === "rekey";
  assert(named && body.length === bodyBytes, "WIR-10: body of a REPLACE or REKEY");
  const r = new Reader(body, 0, body.length);
  const replica = r.u32();
  assert(replica < 3 && replica === header.requestsCount, "WIR-10: header and body name one");
  const incarnation = incarnationFrom(r.hex(16));
  const member = { replica: replicaFrom(replica), incarnation, publicKey: r.hex(32) };
  return { ...member, replaceOp: header.op };
}
