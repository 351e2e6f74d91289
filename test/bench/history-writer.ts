// Writes the segments and the manifest of a replica with many rooms and entries, as checkpoints and
// merges would have left them: groups of several levels, each with all kinds of rows.
import { opFrom } from "#replica/base/brands.ts";
import { writeU64 } from "#replica/base/bytes.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { keyedHash } from "#replica/machine/keyed-hash.ts";
import { keyRowBytes, writeKeyRow } from "#replica/machine/key-row.ts";
import { encodeMachineState, machineStateAtGenesis } from "#replica/machine/machine-state.ts";
import { generationMs } from "#replica/machine/key-table.ts";
import { frontierTape } from "#replica/machine/proof-tapes.ts";
import { encodeManifest, manifestWrite } from "#replica/snapshot/manifest.ts";
import type { ManifestSegment } from "#replica/snapshot/manifest.ts";
import { SegmentBuilder } from "#replica/snapshot/segment-builder.ts";
import type { BuiltSegment } from "#replica/snapshot/segment-builder.ts";
import type { SegmentSection } from "#replica/snapshot/segment-index.ts";
import { HistoryBlockWriter } from "#replica/wire/history-block.ts";
import type { Storage } from "#replica/wire/storage-port.ts";

const blockBytes = 32 * 1024;
const segmentBytes = 16 * 1024 * 1024;
const dayMs = 24 * 3_600_000;
/** Log time at the end. */
export const historyEndMs = 1_800_000_000_000;
/** Op of the checkpoint. */
export const historyOp = 1_000_000;
const bodyBytes = 64;
const saltBytes = 16;
const sender = Uint8Array.from("user-001", (c) => c.charCodeAt(0));
const senderAt = 48;
const entryBytes = senderAt + sender.length + saltBytes + bodyBytes;
const frontierBytesMax = 16 + 53 * 32;

/** Levels and shares of the groups, oldest first: as after a long time of even load. */
const groups = [
  ...Array.from({ length: 2 }, () => ({ level: 4, share: 0.35 })),
  ...Array.from({ length: 3 }, () => ({ level: 3, share: 0.08 })),
  ...Array.from({ length: 4 }, () => ({ level: 2, share: 0.0125 })),
  ...Array.from({ length: 5 }, () => ({ level: 1, share: 0.0018 })),
  ...Array.from({ length: 3 }, () => ({ level: 0, share: 0.0003 })),
];

/** Shape of the history. */
export interface HistoryShape {
  readonly rooms: number;
  readonly entries: number;
}

/** Genesis of the machine that the history belongs to. */
export const historyGenesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 24, max: 120_000_000 },
  roomsMax: 2_000_000,
  seed: Uint8Array.from({ length: 16 }, (_, i) => 3 * i + 1),
};

/** Name of a room. */
export function historyRoom(room: number): string {
  return `room-${room.toString(36).padStart(6, "0")}`;
}

/** Writes one replica's state. */
export class HistoryWriter {
  private readonly storage: Storage;
  private readonly shape: HistoryShape;
  private readonly segments: ManifestSegment[] = [];
  private readonly heads: Float64Array;
  private readonly frontiers: Uint32Array;
  private readonly entry = new Uint8Array(entryBytes);
  private readonly view = new DataView(this.entry.buffer);
  private readonly hash = new Int32Array(2);
  private readonly keyHash: readonly [number, number];
  private readonly pending = new Set<Promise<void>>();
  private builder: SegmentBuilder;
  private salt = 1;

  constructor(storage: Storage, shape: HistoryShape) {
    this.storage = storage;
    this.shape = shape;
    this.heads = new Float64Array(shape.rooms);
    this.frontiers = new Uint32Array(shape.rooms);
    this.builder = new SegmentBuilder(sha256, { level: 0, opFirst: 1, opLast: 1 }, segmentBytes);
    const seed = new DataView(historyGenesis.seed.buffer);
    this.keyHash = [seed.getInt32(8, true), seed.getInt32(12, true)];
    this.entry.set([1, 1, sender.length, 0, 1]);
    this.entry.set(sender, senderAt);
  }

  /** Writes everything; the manifest's bytes. */
  async write(): Promise<Uint8Array> {
    let share = 0;
    let opFirst = 1;
    for (const group of groups) {
      const fromMs = historyEndMs - dayMs + Math.floor(share * dayMs);
      share += group.share;
      const toMs = historyEndMs - dayMs + Math.floor(Math.min(1, share) * dayMs);
      const last = group === groups.at(-1);
      const opLast = last ? historyOp : Math.max(opFirst, Math.floor(share * historyOp));
      const about = { level: group.level, opFirst, opLast };
      this.builder = new SegmentBuilder(sha256, about, segmentBytes);
      await this.writeGroup(
        Math.round(group.share * this.shape.entries),
        fromMs,
        toMs,
        opFirst === 1,
      );
      opFirst = opLast + 1;
    }
    await Promise.all(this.pending);
    const state = machineStateAtGenesis(historyGenesis);
    state.timeUs = historyEndMs * 1000;
    state.roomsCount = this.shape.rooms;
    state.entriesCount = this.heads.reduce((sum, head) => sum + head, 0);
    state.keyGenerationFloor = Math.floor((historyEndMs - dayMs) / generationMs);
    const op = opFrom(historyOp);
    const sequence = 10_000;
    const { segments } = this;
    const bytes = encodeManifest({
      op,
      sequence,
      state: encodeMachineState(state),
      merges: [],
      segments,
    });
    const segment = manifestWrite(historyOp, bytes);
    await new Promise<void>((done) => this.storage.writeSegment(segment.id, segment.blocks, done));
    return bytes;
  }

  private async writeGroup(
    entries: number,
    fromMs: number,
    toMs: number,
    first: boolean,
  ): Promise<void> {
    const { rooms } = this.shape;
    const before = this.heads.slice();
    const each = entries / rooms;
    // A small group has few rooms: every n-th, from another one each time.
    const step = Math.max(1, Math.floor(1 / each));
    const offset = this.salt % step;
    this.salt += 7;
    const count = Math.max(1, Math.round(each));
    const stepMs = (toMs - fromMs) / count;
    await this.writeHistory(count, step, offset, fromMs, stepMs);
    if (first) await this.writeRooms();
    await this.writeKeys(before, step, offset, fromMs, stepMs);
    await this.take(this.builder.finish());
  }

  private async writeHistory(
    count: number,
    step: number,
    offset: number,
    fromMs: number,
    stepMs: number,
  ): Promise<void> {
    const { entry, view } = this;
    let writer = new HistoryBlockWriter(new Uint8Array(blockBytes));
    for (let room = offset; room < this.shape.rooms; room += step) {
      for (let i = 0; i < count; i += 1) {
        const seq = (this.heads[room] ?? 0) + 1;
        this.heads[room] = seq;
        this.fillEntry(room, seq, keyMsOf(room, i, fromMs, stepMs));
        if (writer.tryAppend(room, seq, entry, view, 0, entryBytes)) continue;
        writer = await this.next(writer);
        writer.tryAppend(room, seq, entry, view, 0, entryBytes);
      }
    }
    const frontier = new Uint8Array(frontierBytesMax);
    const blank = new DataView(frontier.buffer);
    for (let room = offset; room < this.shape.rooms; room += step) {
      const seq = (this.frontiers[room] ?? 0) + 1;
      this.frontiers[room] = seq;
      const tape = frontierTape(room);
      const bytes = frontierOf(blank, room, this.heads[room] ?? 0);
      if (writer.tryAppend(tape, seq, frontier, blank, 0, bytes)) continue;
      writer = await this.next(writer);
      writer.tryAppend(tape, seq, frontier, blank, 0, bytes);
    }
    if (writer.used > 0) await this.next(writer);
  }

  private async next(full: HistoryBlockWriter): Promise<HistoryBlockWriter> {
    await this.add("history", full.bytes.subarray(0, full.used));
    return new HistoryBlockWriter(new Uint8Array(blockBytes));
  }

  private fillEntry(room: number, seq: number, ms: number): void {
    const { entry, view } = this;
    writeU64(view, 8, seq);
    writeU64(view, 16, ms * 1000);
    keyInto(view, 32, ms, room, seq);
    view.setUint32(senderAt + sender.length + saltBytes, room, true);
    entry[entryBytes - 1] = seq & 255;
  }

  private async writeRooms(): Promise<void> {
    const text = new TextEncoder();
    const tenant = text.encode("acme");
    let block = new Uint8Array(blockBytes);
    let view = new DataView(block.buffer);
    let used = 0;
    for (let room = 0; room < this.shape.rooms; room += 1) {
      const name = text.encode(historyRoom(room));
      const bytes = 28 + 4 + tenant.length + name.length + sender.length;
      if (used + bytes > blockBytes) {
        await this.add("rooms", block.subarray(0, used));
        block = new Uint8Array(blockBytes);
        view = new DataView(block.buffer);
        used = 0;
      }
      view.setUint32(used, bytes, true);
      view.setUint32(used + 4, room, true);
      view.setUint32(used + 8, 1, true);
      writeU64(view, used + 20, (historyEndMs - dayMs) * 1000);
      block.set([tenant.length, name.length, sender.length, 0], used + 28);
      block.set(tenant, used + 32);
      block.set(name, used + 32 + tenant.length);
      block.set(sender, used + 32 + tenant.length + name.length);
      used += bytes;
    }
    await this.add("rooms", block.subarray(0, used));
  }

  private async writeKeys(
    before: Float64Array,
    step: number,
    offset: number,
    fromMs: number,
    stepMs: number,
  ): Promise<void> {
    let block = new Uint8Array(blockBytes);
    let view = new DataView(block.buffer);
    let used = 0;
    const { entry, hash } = this;
    const [key0, key1] = this.keyHash;
    for (let room = offset; room < this.shape.rooms; room += step) {
      const last = this.heads[room] ?? 0;
      const first = (before[room] ?? 0) + 1;
      for (let seq = first; seq <= last; seq += 1) {
        if (used + keyRowBytes > blockBytes) {
          await this.add("keys", block.subarray(0, used));
          block = new Uint8Array(blockBytes);
          view = new DataView(block.buffer);
          used = 0;
        }
        const ms = keyMsOf(room, seq - first, fromMs, stepMs);
        keyInto(this.view, 32, ms, room, seq);
        keyedHash(hash, key0, key1, room, entry, 32, 16, senderAt, sender.length);
        writeKeyRow(view, used, ms, room, seq, hash);
        used += keyRowBytes;
      }
    }
    if (used > 0) await this.add("keys", block.subarray(0, used));
  }

  private async add(section: SegmentSection, block: Uint8Array): Promise<void> {
    await this.take(this.builder.add(section, block));
  }

  private async take(built: BuiltSegment | null): Promise<void> {
    if (built === null) return;
    this.segments.push(built.entry);
    const { id, blocks } = built.write;
    const written = new Promise<void>((done) => this.storage.writeSegment(id, blocks, done));
    this.pending.add(written);
    void written.then(() => this.pending.delete(written));
    if (this.pending.size >= 4) await Promise.race(this.pending);
  }
}

/** Own time of a key: rooms are spread over the step. */
function keyMsOf(room: number, index: number, fromMs: number, stepMs: number): number {
  return Math.floor(fromMs + stepMs * (index + ((room * 0.618_033_988) % 1)));
}

/** The frontier of a room of so many entries, with hashes of zeros; its bytes. */
function frontierOf(view: DataView, room: number, size: number): number {
  writeU64(view, 0, room);
  writeU64(view, 8, size);
  let hashes = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) hashes += rest % 2;
  return 16 + 32 * hashes;
}

function keyInto(view: DataView, at: number, ms: number, room: number, seq: number): void {
  view.setUint16(at, Math.floor(ms / 2 ** 32));
  view.setUint32(at + 2, ms % 2 ** 32);
  view.setUint16(at + 6, 0x7000 | (seq & 0xfff));
  view.setUint32(at + 8, (0x8000_0000 | (room & 0x3fff_ffff)) >>> 0);
  view.setUint32(at + 12, seq);
}
