import { assert } from "#replica/base/assert.ts";
import type { Checksum, Incarnation } from "#replica/base/brands.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { headerBytes } from "#replica/base/limits.ts";
import { utf8From } from "#replica/base/text.ts";
import { readHex, writeHex } from "./hex.ts";

// Header of every frame between replicas, 384 bytes, little-endian; a PREPARE's header is also its
// WAL identifier. What the checksum covers is contiguous: [96, 384).
//
//   0 checksum 32        SHA-256 of [96, 384)
//  32 signature 64       Ed25519; what it covers depends on the command (replica/transport)
//  96 magic u32          "TGCF"
// 100 protocol u16       1
// 102 command u8
// 103 replica u8         author
// 104 size u32           header and body
// 108 zeros 4
// 112 cluster 16
// 128 shard 40           UTF-8, zero-padded
// 168 incarnation 16     author's
// 184 view u64
// 192 checksum_body 32   SHA-256 of the body
// 224 fields of the command, zeros to 384

/** Digest of bytes: SHA-256 in production, something faster in the simulator. */
export type Hash = (bytes: Uint8Array) => Checksum;

/** Offsets within a frame's header. */
export const frameAt = {
  checksum: 0,
  signature: 32,
  checksummed: 96,
  magic: 96,
  protocol: 100,
  command: 102,
  replica: 103,
  size: 104,
  zeros: 108,
  scope: 112,
  incarnation: 168,
  view: 184,
  checksumBody: 192,
  fields: 224,
} as const;

/** "TGCF" read as a little-endian u32. */
export const frameMagic = 0x46434754;
/** The one version of the frames. */
export const frameProtocol = 1;
/** Bytes of a frame between replicas at most: the largest bodies are lists of headers. */
export const frameBytesMax = 256 * 1024;
/** Bytes of a signature. */
export const frameSignatureBytes = 64;

/** Numbers of the commands; never reused. `hello` and `alive` are the transport's own. */
export const frameCommands = {
  prepare: 1,
  prepare_ok: 2,
  commit: 3,
  start_view_change: 4,
  do_view_change: 5,
  start_view: 6,
  get_view: 7,
  get_headers: 8,
  headers: 9,
  get_prepare: 10,
  get_chunk: 11,
  chunk: 12,
  ping: 13,
  pong: 14,
  cosign: 15,
  hello: 32,
  alive: 33,
} as const;

/** Name of a frame's command. */
export type FrameCommand = keyof typeof frameCommands;

const commandNames = new Map<number, FrameCommand>(
  Object.entries(frameCommands).map(([name, number]) => [number, name as FrameCommand]),
);

/** Which shard's frames these are, and how to digest them. Made by {@link frameScopeFrom}. */
export interface FrameScope {
  readonly hash: Hash;
  /** Cluster and shard as they stand in every header, 56 bytes. */
  readonly bytes: Uint8Array;
  /** Digest of an empty body. */
  readonly emptyChecksum: Checksum;
}

/** `cluster`: 32 hex digits. `shard`: 1 to 40 bytes of UTF-8. */
export function frameScopeFrom(options: {
  readonly cluster: string;
  readonly shard: string;
  readonly hash: Hash;
}): FrameScope {
  const bytes = new Uint8Array(56);
  const shard = utf8From(options.shard);
  assert(shard.length >= 1 && shard.length <= 40, "WIR-03: name of a shard");
  writeHex(bytes, 0, options.cluster, 16);
  bytes.set(shard, 16);
  return { hash: options.hash, bytes, emptyChecksum: options.hash(new Uint8Array(0)) };
}

/** A DataView of bytes. */
export function dataViewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What all headers begin with. */
export interface FrameStart {
  readonly command: FrameCommand;
  readonly replica: number;
  readonly incarnation: Incarnation;
  readonly view: number;
  readonly bodyBytes: number;
  readonly bodyChecksum: Checksum;
}

/** Writes the common fields, zeroes the rest of a header: checksum, signature and fields follow. */
export function writeFrameStart(scope: FrameScope, header: Uint8Array, start: FrameStart): void {
  assert(header.length === headerBytes, "WIR-03: length of a header");
  assert(start.bodyBytes <= frameBytesMax - headerBytes, "WIR-04: a frame is bounded");
  const view = dataViewOf(header);
  header.fill(0);
  view.setUint32(frameAt.magic, frameMagic, true);
  view.setUint16(frameAt.protocol, frameProtocol, true);
  header[frameAt.command] = frameCommands[start.command];
  header[frameAt.replica] = start.replica;
  view.setUint32(frameAt.size, headerBytes + start.bodyBytes, true);
  header.set(scope.bytes, frameAt.scope);
  writeHex(header, frameAt.incarnation, start.incarnation, 16);
  writeU64(view, frameAt.view, start.view);
  writeHex(header, frameAt.checksumBody, start.bodyChecksum, 32);
}

/** What a header's checksum covers. */
export function checksummedBytes(header: Uint8Array): Uint8Array {
  return header.subarray(frameAt.checksummed, headerBytes);
}

/** Computes and writes the header's checksum; the last step before signing. */
export function sealFrame(scope: FrameScope, header: Uint8Array): void {
  writeHex(header, frameAt.checksum, scope.hash(checksummedBytes(header)), 32);
}

/** Why bytes are not a frame of this shard. */
export type FrameRefusal =
  | "short"
  | "magic"
  | "protocol"
  | "command"
  | "size"
  | "reserved"
  | "scope"
  | "replica"
  | "number"
  | "checksum"
  | "body_checksum";

/** The whole frame's bytes by its header, or why it is none. Needs the header's 384 bytes. */
export function frameSize(header: Uint8Array, offset: number): number | FrameRefusal {
  if (header.length - offset < headerBytes) return "short";
  const view = dataViewOf(header);
  if (view.getUint32(offset + frameAt.magic, true) !== frameMagic) return "magic";
  const size = view.getUint32(offset + frameAt.size, true);
  return size < headerBytes || size > frameBytesMax ? "size" : size;
}

/** Checks a header by itself: shape, scope and checksum. Null when it holds. */
export function refuseHeader(scope: FrameScope, header: Uint8Array): FrameRefusal | null {
  const size = frameSize(header, 0);
  if (typeof size === "string") return size;
  const view = dataViewOf(header);
  if (view.getUint16(frameAt.protocol, true) !== frameProtocol) return "protocol";
  if (!commandNames.has(header[frameAt.command] ?? 0)) return "command";
  if (view.getUint32(frameAt.zeros, true) !== 0) return "reserved";
  for (let i = 0; i < scope.bytes.length; i += 1) {
    if (header[frameAt.scope + i] !== scope.bytes[i]) return "scope";
  }
  if ((header[frameAt.replica] ?? 3) > 2) return "replica";
  if (Number.isNaN(readU64(view, frameAt.view))) return "number";
  const checksum = scope.hash(checksummedBytes(header));
  return checksum === readHex(header, frameAt.checksum, 32) ? null : "checksum";
}

/** Checks a whole frame, header and body. Null when it holds; signatures are another matter. */
export function refuseFrame(scope: FrameScope, frame: Uint8Array): FrameRefusal | null {
  const refusal = refuseHeader(scope, frame);
  if (refusal !== null) return refusal;
  const body = frame.subarray(headerBytes);
  if (dataViewOf(frame).getUint32(frameAt.size, true) !== frame.length) return "size";
  const digest = body.length === 0 ? scope.emptyChecksum : scope.hash(body);
  return digest === readHex(frame, frameAt.checksumBody, 32) ? null : "body_checksum";
}

/** The command of a header that {@link refuseHeader} has let through. */
export function frameCommandOf(header: Uint8Array): FrameCommand {
  const command = commandNames.get(header[frameAt.command] ?? 0);
  assert(command !== undefined, "WIR-05: a checked header has a known command");
  return command;
}
