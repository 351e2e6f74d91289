import { assert } from "#replica/base/assert.ts";
import {
  type Checksum,
  checksumOf,
  incarnationFrom,
  opFrom,
  replicaFrom,
  timestampFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { headerBytes, prepareBodyBytesMax } from "#replica/base/limits.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import {
  checksummedBytes,
  dataViewOf,
  frameAt,
  frameCommandOf,
  frameSignatureBytes,
  refuseFrame,
  refuseHeader,
  writeFrameStart,
} from "./frame.ts";
import type { FrameRefusal, FrameScope } from "./frame.ts";
import { readHex, writeHex } from "./hex.ts";
import type { Prepare, PrepareHeader, PrepareKind } from "./prepare.ts";

// Fields of PREPARE, from 224: op u64, parent 32, timestamp u64, commit_max u64,
// quorum_checkpoint_op u64, checkpoint_id 32, machine_version u32, requests u32, kind u8, zeros.
const at = {
  op: 224,
  parent: 232,
  timestampUs: 264,
  commitMax: 272,
  quorumCheckpointOp: 280,
  checkpointId: 288,
  machineVersion: 320,
  requestsCount: 324,
  kind: 328,
  zeros: 329,
} as const;

const kinds: readonly PrepareKind[] = ["root", "requests", "noop", "replace", "upgrade", "rekey"];

/** Why bytes are not a prepare of this shard. */
export type PrepareRefusal = FrameRefusal | "kind" | "body_too_large";

function writeFields(scope: FrameScope, header: PrepareHeader, target: Uint8Array): void {
  assert(header.bodyBytes <= prepareBodyBytesMax, "WIR-04: a prepare is bounded");
  const view = dataViewOf(target);
  writeFrameStart(scope, target, {
    command: "prepare",
    replica: header.author,
    incarnation: header.incarnation,
    view: header.view,
    bodyBytes: header.bodyBytes,
    bodyChecksum: header.bodyChecksum,
  });
  writeU64(view, at.op, header.op);
  writeHex(target, at.parent, header.parent, 32);
  writeU64(view, at.timestampUs, header.timestampUs);
  writeU64(view, at.commitMax, header.commitMax);
  writeU64(view, at.quorumCheckpointOp, header.quorumCheckpointOp);
  writeHex(target, at.checkpointId, header.checkpointId, 32);
  view.setUint32(at.machineVersion, header.machineVersion, true);
  view.setUint32(at.requestsCount, header.requestsCount, true);
  target[at.kind] = kinds.indexOf(header.kind);
}

/** What a prepare's checksum covers, 288 bytes; checksum and signature of `header` are not read. */
export function prepareChecksummedBytes(scope: FrameScope, header: PrepareHeader): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  writeFields(scope, header, bytes);
  return checksummedBytes(bytes);
}

/** Writes a sealed header at `offset`, 384 bytes: frame header on the wire, identifier on disk. */
export function encodePrepareHeader(
  scope: FrameScope,
  header: PrepareHeader,
  target: Uint8Array,
  offset: number,
): void {
  const bytes = target.subarray(offset, offset + headerBytes);
  assert(header.signature.length === frameSignatureBytes, "WIR-03: length of a signature");
  writeFields(scope, header, bytes);
  writeHex(bytes, frameAt.checksum, header.checksum, 32);
  bytes.set(header.signature, frameAt.signature);
}

/** Header and body as one: the frame on the wire and the content of a WAL slot. */
export function encodePrepare(scope: FrameScope, prepare: Prepare): Uint8Array {
  assert(prepare.body.length === prepare.header.bodyBytes, "WIR-06: body as its header says");
  const bytes = new Uint8Array(headerBytes + prepare.body.length);
  encodePrepareHeader(scope, prepare.header, bytes, 0);
  bytes.set(prepare.body, headerBytes);
  return bytes;
}

function checksumAt(bytes: Uint8Array, offset: number): Checksum {
  return checksumOf(bytes.subarray(offset, offset + 32));
}

/** Fields of a prepare's header whose checksum was already seen to hold. */
export function readPrepareHeader(bytes: Uint8Array): Result<PrepareHeader, PrepareRefusal> {
  if (frameCommandOf(bytes) !== "prepare") return fail("command");
  const view = dataViewOf(bytes);
  const kind = kinds[bytes[at.kind] ?? kinds.length];
  if (kind === undefined) return fail("kind");
  for (let i: number = at.zeros; i < headerBytes; i += 1) {
    if (bytes[i] !== 0) return fail("reserved");
  }
  const bodyBytes = view.getUint32(frameAt.size, true) - headerBytes;
  if (bodyBytes > prepareBodyBytesMax) return fail("body_too_large");
  const op = readU64(view, at.op);
  const timestampUs = readU64(view, at.timestampUs);
  const commitMax = readU64(view, at.commitMax);
  const quorumCheckpointOp = readU64(view, at.quorumCheckpointOp);
  if (Number.isNaN(op + timestampUs + commitMax + quorumCheckpointOp)) return fail("number");
  return ok({
    kind,
    op: opFrom(op),
    view: viewFrom(readU64(view, frameAt.view)),
    author: replicaFrom(bytes[frameAt.replica] ?? 3),
    incarnation: incarnationFrom(readHex(bytes, frameAt.incarnation, 16)),
    parent: checksumAt(bytes, at.parent),
    timestampUs: timestampFrom(timestampUs),
    commitMax: opFrom(commitMax),
    quorumCheckpointOp: opFrom(quorumCheckpointOp),
    checkpointId: checksumAt(bytes, at.checkpointId),
    machineVersion: view.getUint32(at.machineVersion, true),
    requestsCount: view.getUint32(at.requestsCount, true),
    bodyBytes,
    bodyChecksum: checksumAt(bytes, frameAt.checksumBody),
    checksum: checksumAt(bytes, frameAt.checksum),
    signature: bytes.slice(frameAt.signature, frameAt.checksummed),
  });
}

/** A header from its 384 bytes; refused unless its own checksum holds. Keeps no reference. */
export function decodePrepareHeader(
  scope: FrameScope,
  bytes: Uint8Array,
): Result<PrepareHeader, PrepareRefusal> {
  const refusal = refuseHeader(scope, bytes);
  return refusal === null ? readPrepareHeader(bytes) : fail(refusal);
}

/** A prepare from exactly its bytes; both checksums hold. The body is a view into `bytes`. */
export function decodePrepare(
  scope: FrameScope,
  bytes: Uint8Array,
): Result<Prepare, PrepareRefusal> {
  const refusal = refuseFrame(scope, bytes);
  if (refusal !== null) return fail(refusal);
  const header = readPrepareHeader(bytes);
  if (!header.ok) return header;
  return ok({ header: header.value, body: bytes.subarray(headerBytes) });
}
