import { assert } from "#replica/base/assert.ts";
import {
  checksumFrom,
  incarnationFrom,
  opFrom,
  type ReplicaIndex,
  replicaFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import { headerBytes, pipelineMax, replicasCount } from "#replica/base/limits.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import {
  keptMax,
  type Life,
  livesMax,
  type Member,
  type PeerMemory,
  type Standing,
  type SuperblockState,
  type VolumeIdentity,
} from "#replica/wire/superblock.ts";
import { ByteReader, ByteWriter } from "./byte-cursor.ts";
import { walSlotsMax } from "./geometry.ts";
import type { JournalTools } from "./journal-tools.ts";

/** Ops that the superblock can name as faulty; identifiers mark the rest (A5a 8). */
export const faultyOpsMax = 896;
/** Bytes of a shard's name in the superblock. */
export const shardBytes = 40;

/** A superblock's content: what consensus persists, and the size of this volume's slots. */
export interface SuperblockContent {
  readonly state: SuperblockState;
  readonly slotBytes: number;
}

/** Writes the content at `at`; returns the byte after it. README of this room lists the fields. */
export function encodeContent(
  tools: JournalTools,
  content: SuperblockContent,
  into: Uint8Array,
  at: number,
): number {
  const { state, slotBytes } = content;
  const writer = new ByteWriter(into, at);
  writer.u64(state.sequence);
  encodeIdentity(writer, state.identity, slotBytes);
  assert(state.members.length <= replicasCount, "JRN-08: members");
  writer.u32(state.members.length);
  for (const member of state.members) {
    writer.u32(member.replica);
    writer.hex(member.incarnation, 16);
    writer.hex(member.publicKey, 32);
    writer.u64(member.replaceOp ?? 0);
  }
  writer.u64(state.view);
  writer.u64(state.logView);
  writer.u64(state.commitMax);
  writer.u64(state.quorumCheckpointOp);
  writer.u64(state.voteFloor);
  writer.u32(state.recovering ? 1 : 0);
  encodeCheckpoint(writer, state.checkpoint);
  assert(state.kept.length <= keptMax, "JRN-08: kept checkpoints");
  writer.u32(state.kept.length);
  for (const checkpoint of state.kept) encodeCheckpoint(writer, checkpoint);
  writer.u32(state.slots.first);
  writer.u32(state.slots.count);
  writer.u64(state.slots.epoch);
  assert(state.viewHeaders.length <= 2 * pipelineMax + 2, "JRN-08: view headers");
  writer.u32(state.viewHeaders.length);
  for (const header of state.viewHeaders) {
    tools.encodeHeader(header, into, writer.skip(headerBytes));
  }
  const faulty = state.faultyOps.slice(0, faultyOpsMax);
  writer.u32(faulty.length);
  for (const op of faulty) writer.u64(op);
  encodeStanding(writer, state.standing);
  return writer.at;
}

function encodeStanding(writer: ByteWriter, standing: Standing): void {
  const { lives, remembered, lost, learnOp } = standing;
  assert(lives.length <= livesMax && remembered.length < replicasCount, "JRN-08: standing");
  writer.u32(lives.length);
  for (const life of lives) {
    writer.u64(life.sequence);
    writer.u32(life.nonce);
    writer.u64(life.logView);
    writer.u64(life.op === null ? 0 : life.op + 1);
  }
  writer.u32(remembered.length);
  for (const memory of remembered) {
    writer.u32(memory.replica);
    writer.hex(memory.incarnation, 16);
    writer.u64(memory.life);
    writer.u32(memory.nonce);
    writer.u64(memory.sequence);
    writer.u64(memory.logView);
    writer.u64(memory.op);
  }
  writer.u32(lost ? 1 : 0);
  writer.u64(learnOp);
}

function decodeStanding(reader: ByteReader): Standing {
  const livesCount = reader.u32();
  if (livesCount > livesMax) reader.failed = true;
  const lives: Life[] = [];
  for (let i = 0; i < livesCount && !reader.failed; i += 1) {
    const life = { sequence: reader.u64(), nonce: reader.u32(), logView: viewFrom(reader.u64()) };
    const above = reader.u64();
    lives.push({ ...life, op: above === 0 ? null : opFrom(above - 1) });
  }
  const count = reader.u32();
  if (count >= replicasCount) reader.failed = true;
  const remembered: PeerMemory[] = [];
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const replica = replicaOrNull(reader.u32());
    const memory = {
      incarnation: incarnationFrom(reader.hex(16)),
      life: reader.u64(),
      nonce: reader.u32(),
      sequence: reader.u64(),
      logView: viewFrom(reader.u64()),
      op: opFrom(reader.u64()),
    };
    if (replica === null) reader.failed = true;
    else remembered.push({ replica, ...memory });
  }
  return { lives, remembered, lost: reader.u32() === 1, learnOp: opFrom(reader.u64()) };
}

function encodeIdentity(writer: ByteWriter, identity: VolumeIdentity, slotBytes: number): void {
  writer.hex(identity.cluster, 16);
  writer.padded(utf8From(identity.shard), shardBytes);
  writer.u32(identity.replica);
  writer.hex(identity.incarnation, 16);
  writer.hex(identity.formationId, 32);
  writer.u32(identity.walSlotsCount);
  writer.u32(slotBytes);
}

function encodeCheckpoint(writer: ByteWriter, checkpoint: CheckpointDescriptor): void {
  writer.hex(checkpoint.id, 32);
  writer.hex(checkpoint.parentId, 32);
  writer.u64(checkpoint.op);
  writer.hex(checkpoint.opChecksum, 32);
  writer.hex(checkpoint.root, 32);
  writer.u64(checkpoint.manifestBytes);
}

/** Reads the content of a copy whose checksum held; null when it is no content of ours. */
export function decodeContent(
  tools: JournalTools,
  bytes: Uint8Array,
  at: number,
): SuperblockContent | null {
  const reader = new ByteReader(bytes, at);
  const sequence = reader.u64();
  const found = decodeIdentity(reader);
  const members = decodeMembers(reader);
  const view = viewFrom(reader.u64());
  const logView = viewFrom(reader.u64());
  const commitMax = opFrom(reader.u64());
  const quorumCheckpointOp = opFrom(reader.u64());
  const voteFloor = viewFrom(reader.u64());
  const recovering = reader.u32() === 1;
  const checkpoint = decodeCheckpoint(reader);
  const kept = decodeKept(reader);
  const slots = { first: reader.u32(), count: reader.u32(), epoch: reader.u64() };
  const viewHeaders = decodeHeaders(tools, reader);
  const faultyCount = Math.min(reader.u32(), faultyOpsMax);
  const faultyOps = Array.from({ length: faultyCount }, () => opFrom(reader.u64()));
  const standing = decodeStanding(reader);
  if (reader.failed || found === null || viewHeaders === null) return null;
  const state: SuperblockState = {
    sequence,
    identity: found.identity,
    members,
    view,
    logView,
    viewHeaders,
    commitMax,
    checkpoint,
    kept,
    quorumCheckpointOp,
    recovering,
    voteFloor,
    faultyOps,
    slots,
    standing,
  };
  return { state, slotBytes: found.slotBytes };
}

function replicaOrNull(value: number): ReplicaIndex | null {
  return value < replicasCount ? replicaFrom(value) : null;
}

function decodeIdentity(
  reader: ByteReader,
): { readonly identity: VolumeIdentity; readonly slotBytes: number } | null {
  const cluster = reader.hex(16);
  const padded = reader.raw(shardBytes);
  const end = padded.indexOf(0);
  const shard = textFromUtf8(end === -1 ? padded : padded.subarray(0, end));
  const replica = replicaOrNull(reader.u32());
  const incarnation = incarnationFrom(reader.hex(16));
  const formationId = checksumFrom(reader.hex(32));
  const walSlotsCount = reader.u32();
  const slotBytes = reader.u32();
  if (shard === null || replica === null || walSlotsCount > walSlotsMax) return null;
  const identity = { cluster, shard, replica, incarnation, formationId, walSlotsCount };
  return { identity, slotBytes };
}

function decodeMembers(reader: ByteReader): readonly Member[] {
  const count = reader.u32();
  const members: Member[] = [];
  if (count > replicasCount) reader.failed = true;
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const replica = replicaOrNull(reader.u32());
    const incarnation = incarnationFrom(reader.hex(16));
    const publicKey = reader.hex(32);
    const replaceOp = opFrom(reader.u64());
    if (replica === null) reader.failed = true;
    else if (replaceOp === 0) members.push({ replica, incarnation, publicKey });
    else members.push({ replica, incarnation, publicKey, replaceOp });
  }
  return members;
}

function decodeCheckpoint(reader: ByteReader): CheckpointDescriptor {
  return {
    id: checksumFrom(reader.hex(32)),
    parentId: checksumFrom(reader.hex(32)),
    op: opFrom(reader.u64()),
    opChecksum: checksumFrom(reader.hex(32)),
    root: checksumFrom(reader.hex(32)),
    manifestBytes: reader.u64(),
  };
}

function decodeKept(reader: ByteReader): readonly CheckpointDescriptor[] {
  const count = reader.u32();
  if (count > keptMax) reader.failed = true;
  const kept: CheckpointDescriptor[] = [];
  for (let i = 0; i < count && !reader.failed; i += 1) kept.push(decodeCheckpoint(reader));
  return kept;
}

function decodeHeaders(tools: JournalTools, reader: ByteReader): readonly PrepareHeader[] | null {
  const count = reader.u32();
  if (count > 2 * pipelineMax + 2) return null;
  const headers: PrepareHeader[] = [];
  for (let i = 0; i < count; i += 1) {
    const header = tools.decodeHeader(reader.raw(headerBytes));
    if (header === null || reader.failed) return null;
    headers.push(header);
  }
  return headers;
}
