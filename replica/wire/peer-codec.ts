import { assert } from "#replica/base/assert.ts";
import { incarnationFrom, opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import { readU64 } from "#replica/base/bytes.ts";
import { headerBytes, replicasCount } from "#replica/base/limits.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import { Reader, Writer } from "./cursor.ts";
import {
  dataViewOf,
  frameAt,
  frameBytesMax,
  frameCommandOf,
  frameSignatureBytes,
  refuseFrame,
  sealFrame,
  writeFrameStart,
} from "./frame.ts";
import type { FrameScope } from "./frame.ts";
import { readHex } from "./hex.ts";
import type {
  CheckpointDescriptor,
  PeerEnvelope,
  PeerMessage,
  VolumeVerdict,
} from "./peer-message.ts";
import { replicaStatuses } from "./peer-message.ts";
import { decodePrepareHeader, encodePrepareHeader, readPrepareHeader } from "./prepare-codec.ts";
import type { PrepareRefusal } from "./prepare-codec.ts";
import type { PrepareHeader } from "./prepare.ts";
import { type Life, livesMax, type Member } from "./superblock.ts";

// Each command's fields stand at 224 in the order in which writeFields writes them. Bodies:
// COMMIT, START_VIEW, DO_VIEW_CHANGE begin with a checkpoint (112 bytes of digests and two u64);
// then a list of headers: u32 count, one flag byte each (1 header, 2 present, 4 nack), headers.

/** A frame in two parts, so that a prepare's body is never copied to be sent. */
export interface FrameParts {
  /** 384 bytes. The signature is zero, but for a prepare, which carries its author's. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** Why bytes are not a message between replicas. */
export type PeerRefusal = PrepareRefusal | "fields" | "body" | "headers";

/** Bytes of one chunk of state at most: a block of a segment with room to spare. */
export const chunkBytesMax = 128 * 1024;
/** Headers of one message at most; more are asked for again. */
export const messageHeadersMax = 512;

const segmentBytesMax = 40;
const checkpointBytes = 4 * 32 + 2 * 8;
const hasHeader = 1;
const isPresent = 2;
const isNack = 4;
const none = new Uint8Array(0);
const verdicts: readonly VolumeVerdict[] = ["unknown", "sound", "rolled_back"];
const lifeBytes = 8 + 4 + 8 + 8;
const memberBytes = 1 + 16 + 32 + 8;

type Body<K extends PeerMessage["kind"]> = Extract<PeerMessage, { kind: K }>;

function writeCheckpoint(w: Writer, checkpoint: CheckpointDescriptor): void {
  w.hex(checkpoint.id, 32);
  w.hex(checkpoint.parentId, 32);
  w.u64(checkpoint.op);
  w.hex(checkpoint.opChecksum, 32);
  w.hex(checkpoint.root, 32);
  w.u64(checkpoint.manifestBytes);
}

function readCheckpoint(r: Reader): CheckpointDescriptor {
  return {
    id: r.checksum(),
    parentId: r.checksum(),
    op: r.op(),
    opChecksum: r.checksum(),
    root: r.checksum(),
    manifestBytes: r.u64(),
  };
}

function bodyOfHeaders(
  scope: FrameScope,
  checkpoint: CheckpointDescriptor | null,
  headers: readonly (PrepareHeader | null)[],
  flags: (index: number) => number,
): Uint8Array {
  assert(headers.length <= messageHeadersMax, "WIR-04: headers of a message");
  let stored = 0;
  for (const header of headers) if (header !== null) stored += 1;
  const start = checkpoint === null ? 0 : checkpointBytes;
  const w = new Writer(new Uint8Array(start + 4 + headers.length + stored * headerBytes), 0);
  if (checkpoint !== null) writeCheckpoint(w, checkpoint);
  w.u32(headers.length);
  headers.forEach((header, index) => {
    w.u8((header === null ? 0 : hasHeader) + flags(index));
  });
  for (const header of headers) {
    if (header === null) continue;
    encodePrepareHeader(scope, header, w.bytes, w.at);
    w.at += headerBytes;
  }
  return w.bytes;
}

interface ReadHeaders {
  readonly headers: readonly (PrepareHeader | null)[];
  readonly present: readonly boolean[];
  readonly nack: readonly boolean[];
}

function readHeaders(scope: FrameScope, r: Reader): ReadHeaders | null {
  const count = r.u32();
  if (count > messageHeadersMax) return null;
  const flags = r.raw(count);
  const headers: (PrepareHeader | null)[] = [];
  for (const flag of flags) {
    if (flag > hasHeader + isPresent + isNack) return null;
    const bytes = (flag & hasHeader) === 0 ? null : r.raw(headerBytes);
    const header = bytes === null ? null : decodePrepareHeader(scope, bytes);
    if (header?.ok === false) return null;
    headers.push(header === null ? null : header.value);
  }
  return {
    headers,
    present: Array.from(flags, (flag) => (flag & isPresent) !== 0),
    nack: Array.from(flags, (flag) => (flag & isNack) !== 0),
  };
}

function bodyOf(scope: FrameScope, message: PeerMessage): Uint8Array {
  switch (message.kind) {
    case "prepare":
      return message.prepare.body;
    case "chunk":
      assert(message.bytes.length <= chunkBytesMax, "WIR-04: bytes of a chunk");
      return message.bytes;
    case "commit": {
      const w = new Writer(new Uint8Array(checkpointBytes), 0);
      writeCheckpoint(w, message.checkpoint);
      return w.bytes;
    }
    case "headers":
      return bodyOfHeaders(scope, null, message.headers, () => 0);
    case "start_view":
      return bodyOfHeaders(scope, message.checkpoint, message.headers, () => 0);
    case "do_view_change":
      assert(message.present.length === message.headers.length, "WIR-08: one flag a header");
      assert(message.nack.length === message.headers.length, "WIR-08: one flag a header");
      return bodyOfHeaders(
        scope,
        message.checkpoint,
        message.headers,
        (i) => (message.present[i] === true ? isPresent : 0) + (message.nack[i] ? isNack : 0),
      );
    case "ping":
    case "pong":
      return bodyOfPing(message);
    case "cosign":
      assert(message.signature.length === frameSignatureBytes, "WIR-08: signature of a cosigner");
      return message.signature;
    default:
      return none;
  }
}

/**
 * Lives: u8 count, then each: sequence, nonce, log view, and op + 1, or 0 for an uncertain head.
 * Members: u8 count, then each: replica, incarnation, public key, op of its REPLACE.
 */
function bodyOfPing({ lives, replaced }: Body<"ping" | "pong">): Uint8Array {
  assert(lives.length <= livesMax, "WIR-04: lives of a volume");
  assert(replaced.length <= replicasCount, "WIR-04: members");
  const bytes = 2 + lives.length * lifeBytes + replaced.length * memberBytes;
  const w = new Writer(new Uint8Array(bytes), 0);
  w.u8(lives.length);
  for (const life of lives) {
    w.u64(life.sequence);
    w.u32(life.nonce);
    w.u64(life.logView);
    w.u64(life.op === null ? 0 : life.op + 1);
  }
  w.u8(replaced.length);
  for (const member of replaced) {
    w.u8(member.replica);
    w.hex(member.incarnation, 16);
    w.hex(member.publicKey, 32);
    w.u64(member.replaceOp ?? 0);
  }
  return w.bytes;
}

function readReplaced(b: Reader): readonly Member[] | null {
  const count = b.u8();
  if (count > replicasCount) return null;
  const members: Member[] = [];
  for (let i = 0; i < count; i += 1) {
    const replica = b.u8();
    if (replica >= replicasCount) return null;
    const incarnation = incarnationFrom(b.hex(16));
    const [publicKey, replaceOp] = [b.hex(32), b.op()];
    members.push({ replica: replicaFrom(replica), incarnation, publicKey, replaceOp });
  }
  return members;
}

function readLives(b: Reader): readonly Life[] | null {
  const count = b.u8();
  if (count > livesMax) return null;
  return Array.from({ length: count }, () => {
    const life = { sequence: b.u64(), nonce: b.u32(), logView: viewFrom(b.u64()) };
    const above = b.u64();
    return { ...life, op: above === 0 ? null : opFrom(above - 1) };
  });
}

function readPing(
  kind: "ping" | "pong",
  r: Reader,
  b: Reader,
): Omit<Extract<PeerMessage, { kind: "ping" | "pong" }>, keyof PeerEnvelope> | null {
  const fields = {
    monotonicMs: r.f64(),
    wallClockUs: r.u64(),
    formationId: r.checksum(),
    versions: { min: r.u16(), max: r.u16() },
    commitMin: r.op(),
    mark: { sequence: r.u64(), logView: viewFrom(r.u64()), op: r.op() },
  };
  const [life, nonce] = [r.u64(), r.u32()];
  const [verdict, status, learner] = [verdicts[r.u8()], replicaStatuses[r.u8()], r.u8()];
  const voteFloor = viewFrom(r.u64());
  const [checkpointOp, checkpointId] = [r.op(), r.checksum()];
  const [lives, replaced] = [readLives(b), readReplaced(b)];
  if (lives === null || replaced === null) return null;
  if (verdict === undefined || status === undefined || learner > 1) return null;
  const yours = { life, nonce, verdict };
  const standing = { yours, status, learner: learner === 1, voteFloor };
  return { kind, ...fields, ...standing, checkpointOp, checkpointId, lives, replaced };
}

function writePing(w: Writer, message: Extract<PeerMessage, { kind: "ping" | "pong" }>): void {
  w.f64(message.monotonicMs);
  w.u64(message.wallClockUs);
  w.hex(message.formationId, 32);
  w.u16(message.versions.min);
  w.u16(message.versions.max);
  w.u64(message.commitMin);
  w.u64(message.mark.sequence);
  w.u64(message.mark.logView);
  w.u64(message.mark.op);
  w.u64(message.yours.life);
  w.u32(message.yours.nonce);
  w.u8(verdicts.indexOf(message.yours.verdict));
  w.u8(replicaStatuses.indexOf(message.status));
  w.u8(message.learner ? 1 : 0);
  w.u64(message.voteFloor);
  w.u64(message.checkpointOp);
  w.hex(message.checkpointId, 32);
}

function writeFields(w: Writer, message: PeerMessage): void {
  switch (message.kind) {
    case "prepare_ok":
      w.u64(message.op);
      w.hex(message.checksum, 32);
      w.u64(message.commitMin);
      w.u64(message.checkpointOp);
      return;
    case "commit":
      w.u64(message.commitMax);
      w.hex(message.commitChecksum, 32);
      w.u64(message.quorumCheckpointOp);
      w.f64(message.monotonicMs);
      return;
    case "do_view_change":
      w.u64(message.logView);
      w.u64(message.op);
      w.u64(message.commitMin);
      w.u64(message.commitMax);
      w.u64(message.quorumCheckpointOp);
      return;
    case "start_view":
      w.u64(message.op);
      w.u64(message.commitMax);
      w.u64(message.quorumCheckpointOp);
      w.u64(message.nonce);
      return;
    case "get_view":
      w.u64(message.nonce);
      return;
    case "get_headers":
      w.u64(message.opFirst);
      w.u64(message.opLast);
      return;
    case "get_prepare":
      w.u64(message.op);
      w.hex(message.checksum, 32);
      return;
    case "get_chunk":
    case "chunk":
      w.hex(message.checkpointId, 32);
      w.u32(message.block);
      w.text(message.segment);
      return;
    case "ping":
    case "pong":
      writePing(w, message);
      return;
    case "cosign":
      w.u64(message.size);
      w.hex(message.root, 32);
      w.u64(message.timeS);
      return;
    case "prepare":
    case "start_view_change":
    case "headers":
      return;
    default:
      message satisfies never;
  }
}

/**
 * A message as header and body. Checksums are in place; the signature is the transport's to write,
 * except a prepare's. A prepare's header is its author's: the sender's envelope is not in it.
 */
export function encodePeerMessage(scope: FrameScope, message: PeerMessage): FrameParts {
  const header = new Uint8Array(headerBytes);
  const body = bodyOf(scope, message);
  if (message.kind === "prepare") {
    assert(body.length === message.prepare.header.bodyBytes, "WIR-06: body as its header says");
    encodePrepareHeader(scope, message.prepare.header, header, 0);
    return { header, body };
  }
  writeFrameStart(scope, header, {
    command: message.kind,
    replica: message.from,
    incarnation: message.incarnation,
    view: message.view,
    bodyBytes: body.length,
    bodyChecksum: body.length === 0 ? scope.emptyChecksum : scope.hash(body),
  });
  writeFields(new Writer(header, frameAt.fields), message);
  sealFrame(scope, header);
  return { header, body };
}

function readViewChange(
  scope: FrameScope,
  r: Reader,
  b: Reader,
): Omit<Body<"do_view_change">, keyof PeerEnvelope> | null {
  const logView = viewFrom(r.u64());
  const [op, commitMin, commitMax, quorumCheckpointOp] = [r.op(), r.op(), r.op(), r.op()];
  const checkpoint = readCheckpoint(b);
  const list = readHeaders(scope, b);
  if (list === null) return null;
  const numbers = { logView, op, commitMin, commitMax, quorumCheckpointOp };
  return { kind: "do_view_change", ...numbers, checkpoint, ...list };
}

function readStartView(
  scope: FrameScope,
  r: Reader,
  b: Reader,
): Omit<Body<"start_view">, keyof PeerEnvelope> | null {
  const [op, commitMax, quorumCheckpointOp, nonce] = [r.op(), r.op(), r.op(), r.u64()];
  const checkpoint = readCheckpoint(b);
  const headers = wholeHeaders(scope, b);
  if (headers === null) return null;
  return { kind: "start_view", op, commitMax, quorumCheckpointOp, nonce, checkpoint, headers };
}

function wholeHeaders(scope: FrameScope, b: Reader): readonly PrepareHeader[] | null {
  const list = readHeaders(scope, b);
  const headers = list?.headers.filter((header) => header !== null) ?? null;
  return headers?.length === list?.headers.length ? headers : null;
}

type Fields = PeerMessage extends infer M
  ? M extends M
    ? Omit<M, keyof PeerEnvelope>
    : never
  : never;

/** Fields in the header (`r`) and in the body (`b`); null when a list of headers is malformed. */
function readFields(
  scope: FrameScope,
  kind: PeerMessage["kind"],
  r: Reader,
  b: Reader,
): Fields | null {
  switch (kind) {
    case "prepare_ok":
      return { kind, op: r.op(), checksum: r.checksum(), commitMin: r.op(), checkpointOp: r.op() };
    case "commit":
      return {
        kind,
        commitMax: r.op(),
        commitChecksum: r.checksum(),
        quorumCheckpointOp: r.op(),
        monotonicMs: r.f64(),
        checkpoint: readCheckpoint(b),
      };
    case "do_view_change":
      return readViewChange(scope, r, b);
    case "start_view":
      return readStartView(scope, r, b);
    case "get_view":
      return { kind, nonce: r.u64() };
    case "get_headers":
      return { kind, opFirst: r.op(), opLast: r.op() };
    case "headers": {
      const headers = wholeHeaders(scope, b);
      return headers === null ? null : { kind, headers };
    }
    case "get_prepare":
      return { kind, op: r.op(), checksum: r.checksum() };
    case "get_chunk":
    case "chunk": {
      const chunk = {
        checkpointId: r.checksum(),
        block: r.u32(),
        segment: r.text(segmentBytesMax),
      };
      return kind === "chunk" ? { kind, ...chunk, bytes: b.raw(b.left) } : { kind, ...chunk };
    }
    case "ping":
    case "pong":
      return readPing(kind, r, b);
    case "cosign": {
      const head = { size: r.u64(), root: r.checksum(), timeS: r.u64() };
      return { kind, ...head, signature: b.raw(frameSignatureBytes) };
    }
    case "start_view_change":
    case "prepare":
      return kind === "prepare" ? null : { kind };
    default:
      return kind satisfies never;
  }
}

/**
 * The message in a frame that {@link refuseFrame} has let through. `relay`: who sent it and in
 * which view, for a prepare, whose header tells of its author only. Bodies are views into `frame`.
 */
export function readPeerMessage(
  scope: FrameScope,
  frame: Uint8Array,
  relay: PeerEnvelope,
): Result<PeerMessage, PeerRefusal> {
  const command = frameCommandOf(frame);
  if (command === "hello" || command === "alive") return fail("command");
  if (command === "prepare") {
    const header = readPrepareHeader(frame);
    if (!header.ok) return header;
    const prepare = { header: header.value, body: frame.subarray(headerBytes) };
    return ok({ ...relay, kind: "prepare", prepare });
  }
  const r = new Reader(frame, frameAt.fields, headerBytes);
  const b = new Reader(frame, headerBytes, frame.length);
  const fields = readFields(scope, command, r, b);
  if (!r.finishedWithZeros()) return fail("fields");
  if (fields === null) return fail("headers");
  if (b.bad || b.left > 0 || frame.length > frameBytesMax) return fail("body");
  return ok({
    from: replicaFrom(frame[frameAt.replica] ?? 3),
    incarnation: incarnationFrom(readHex(frame, frameAt.incarnation, 16)),
    view: viewFrom(readU64(dataViewOf(frame), frameAt.view)),
    ...fields,
  });
}

/** {@link readPeerMessage} after every check but the signature's. For hostile bytes. */
export function decodePeerMessage(
  scope: FrameScope,
  frame: Uint8Array,
  relay: PeerEnvelope,
): Result<PeerMessage, PeerRefusal> {
  const refusal = refuseFrame(scope, frame);
  return refusal === null ? readPeerMessage(scope, frame, relay) : fail(refusal);
}
