import { assert } from "#replica/base/assert.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import { entryBytes, entryFixedBytes, entryTypes, entryTimeAt } from "#replica/wire/entry.ts";
import { entryFlagRedacted, entrySaltBytes, entryVersion } from "#replica/wire/entry.ts";
import {
  OperationReader,
  operationKinds,
  resultBytes,
  resultCodes,
  resultFlagDup,
  writeResult,
} from "#replica/wire/operation.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";
import { writeU64 } from "#replica/base/bytes.ts";
import { keyTimeMs } from "./key-row.ts";
import type { Cursor } from "./key-table.ts";
import { keyedHash } from "./keyed-hash.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { BlockAddress } from "./port.ts";
import { findInBlock, locateOnDisk } from "./room-reader.ts";
import type { EntryPlace } from "./room-reader.ts";

/** How far a key's own time may be ahead of log time, microseconds. */
export const keyAheadMaxUs = 5 * 60 * 1_000_000;

/** An entry on disk that an op compares with; blocks come in the order of its addresses. */
interface Planned {
  readonly room: number;
  readonly seq: number;
  readonly block: number;
}

interface Plan {
  readonly addresses: BlockAddress[];
  readonly entries: Planned[];
}

/** Stands for a result that was written in full. */
const answered = 0;
const noAddresses: readonly BlockAddress[] = [];

/** Applies operations in place; its fields are scratch, so that no operation makes an object. */
export class Applier {
  private readonly tables: MachineTables;
  private readonly reader = new OperationReader();
  private readonly hash = new Int32Array(2);
  private readonly cursor: Cursor = { slot: -1, seq: 0 };
  /** By op: what {@link needs} found on disk; only ops with such keys, until they are applied. */
  private readonly plans = new Map<number, Plan>();
  private plan: Plan | undefined;
  private blocks: readonly Uint8Array[] = [];
  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the result of the current operation goes. */
  private reply: DataView = new DataView(new ArrayBuffer(0));
  private replyAt = 0;

  constructor(tables: MachineTables) {
    this.tables = tables;
  }

  /** Forgets what was planned. */
  reset(): void {
    this.plans.clear();
    this.plan = undefined;
  }

  /** Blocks of retried keys whose original has left memory, each once, in order of first use. */
  needs(prepare: Prepare): readonly BlockAddress[] {
    const { header, body } = prepare;
    if (header.kind !== "requests" || this.tables.history.length === 0) return noAddresses;
    this.plans.delete(header.op);
    const requests = new RequestReader(body);
    this.open(body);
    const { reader } = this;
    while (requests.next()) {
      reader.open(body, this.view, requests.bodyStart, requests.bodyEnd);
      while (reader.next()) {
        if (reader.fault === null && reader.kind === operationKinds.post) this.planPost(header.op);
      }
    }
    return this.plans.get(header.op)?.addresses ?? noAddresses;
  }

  private planPost(op: number): void {
    const { tables, reader, cursor } = this;
    const room = this.findRoom();
    if (room < 0) return;
    const keyMs = keyTimeMs(this.bytes, reader.keyAt);
    this.hashKey(room);
    cursor.slot = -1;
    while (tables.keys.next(keyMs, room, this.hash, cursor)) {
      const { rooms } = tables;
      const newest = rooms.page(room).newest[rooms.at(room)] ?? -1;
      if (tables.store.find(newest, cursor.seq) >= 0) continue;
      const address = locateOnDisk(tables.history, room, cursor.seq);
      assert(address !== null, "MCH-10: a committed entry is in memory or in a segment");
      const plan = this.plans.get(op) ?? { addresses: [], entries: [] };
      this.plans.set(op, plan);
      let block = plan.addresses.findIndex(
        (known) => known.segment === address.segment && known.block === address.block,
      );
      if (block < 0) block = plan.addresses.push(address) - 1;
      plan.entries.push({ room, seq: cursor.seq, block });
    }
  }

  /** Applies a prepare of requests; one reply a request. */
  apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const { header, body } = prepare;
    this.plan = this.plans.get(header.op);
    this.plans.delete(header.op);
    assert(blocks.length === (this.plan?.addresses.length ?? 0), "MCH-10: blocks as needed");
    this.blocks = blocks;
    const requests = new RequestReader(body);
    this.open(body);
    const replies: Uint8Array[] = [];
    while (requests.next()) {
      this.reader.open(body, this.view, requests.bodyStart, requests.bodyEnd);
      replies.push(this.applyRequest(requests.operationsCount));
    }
    assert(requests.reason === null, "MCH-02: a sealed prepare holds whole requests");
    assert(replies.length === header.requestsCount, "MCH-02: a reply a request");
    this.blocks = [];
    this.plan = undefined;
    return replies;
  }

  private open(body: Uint8Array): void {
    this.bytes = body;
    this.view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  private applyRequest(operationsCount: number): Uint8Array {
    const reply = new Uint8Array(operationsCount * resultBytes);
    this.reply = new DataView(reply.buffer);
    const { reader } = this;
    for (let index = 0; index < operationsCount; index += 1) {
      this.replyAt = index * resultBytes;
      if (!reader.next()) this.answer(resultCodes.bad_operation);
      else if (reader.fault === "body") this.answer(resultCodes.too_large);
      else if (reader.fault !== null) this.answer(resultCodes.bad_operation);
      else this.answer(this.applyOne());
    }
    return reply;
  }

  /** Writes a plain answer; {@link answered} = it stands there already. */
  private answer(code: number): void {
    if (code !== answered) writeResult(this.reply, this.replyAt, code, 0, 0, 0, 0);
  }

  private applyOne(): number {
    return this.reader.kind === operationKinds.post ? this.applyPost() : this.applyCreateRoom();
  }

  private findRoom(): number {
    const { reader } = this;
    const { tenantAt, tenantBytes, roomAt, roomBytes } = reader;
    return this.tables.rooms.find(this.bytes, tenantAt, tenantBytes, roomAt, roomBytes);
  }

  private slotOfReader(): number {
    const { reader, bytes } = this;
    const tenant = textFromUtf8(bytes.subarray(reader.tenantAt, reader.roomAt));
    const room = textFromUtf8(bytes.subarray(reader.roomAt, reader.roomAt + reader.roomBytes));
    assert(tenant !== null && room !== null, "MCH-02: names were checked");
    return slotOfRoom(tenant, room);
  }

  private answerMoved(slot: number): number {
    writeResult(this.reply, this.replyAt, resultCodes.moved, 0, 0, slot, 0);
    return answered;
  }

  private applyCreateRoom(): number {
    const { tables, reader } = this;
    const { rooms, state } = tables;
    const slot = this.slotOfReader();
    if (state.slotEpochs[slot] === 0) return this.answerMoved(slot);
    let room = this.findRoom();
    let code: number = resultCodes.room_exists;
    if (room < 0) {
      if (rooms.count >= state.roomsMax) return resultCodes.busy;
      const { tenantAt, tenantBytes, roomBytes, senderBytes } = reader;
      room = rooms.add(this.bytes, tenantAt, tenantBytes, roomBytes, senderBytes);
      const created = rooms.page(room);
      created.epoch[rooms.at(room)] = 1;
      created.createdUs[rooms.at(room)] = state.timeUs;
      if (tables.watches.count > 0 && tables.watches.found(rooms.name(room), room, 0)) {
        tables.setWatched(room, 1);
      }
      code = resultCodes.ok;
    }
    const page = rooms.page(room);
    const at = rooms.at(room);
    const epoch = page.epoch[at] ?? 0;
    writeResult(this.reply, this.replyAt, code, 0, epoch, page.head[at] ?? 0, 0);
    return answered;
  }

  private applyPost(): number {
    const { tables, reader, cursor } = this;
    const { rooms, state, keys } = tables;
    const room = this.findRoom();
    const slot = room < 0 ? this.slotOfReader() : (rooms.page(room).slot[rooms.at(room)] ?? 0);
    if (state.slotEpochs[slot] === 0) return this.answerMoved(slot);
    if (room < 0) return resultCodes.no_room;
    if (reader.type !== entryTypes.message) return resultCodes.bad_operation;
    const head = rooms.page(room).head[rooms.at(room)] ?? 0;
    if (reader.parent > head) return resultCodes.bad_operation;
    const keyMs = keyTimeMs(this.bytes, reader.keyAt);
    const ahead = keyMs * 1000 - state.timeUs;
    if (ahead < -state.keyWindowUs) return resultCodes.key_too_old;
    if (ahead > keyAheadMaxUs) return resultCodes.key_in_future;
    this.hashKey(room);
    cursor.slot = -1;
    while (keys.next(keyMs, room, this.hash, cursor)) {
      if (this.answerIfKnown(room, cursor.seq)) return answered;
    }
    if (keys.count >= state.keysMax) return resultCodes.busy;
    this.commitPost(room, head + 1);
    keys.add(keyMs, room, head + 1, this.hash);
    return answered;
  }

  private hashKey(room: number): void {
    const { reader, tables, bytes } = this;
    const { keyHash0, keyHash1 } = tables;
    const { keyAt, senderAt, senderBytes } = reader;
    keyedHash(this.hash, keyHash0, keyHash1, room, bytes, keyAt, 16, senderAt, senderBytes);
  }

  /** Compares with the stored entry; false when only the hashes were equal. */
  private answerIfKnown(room: number, seq: number): boolean {
    const { rooms, store } = this.tables;
    const newest = rooms.page(room).newest[rooms.at(room)] ?? -1;
    const address = store.find(newest, seq);
    let stored: EntryPlace | null;
    if (address >= 0) {
      const at = store.offsetOf(address);
      stored = { bytes: store.bytesOf(address), at, length: store.lengthOf(address) };
    } else {
      const planned = this.plan?.entries.find((entry) => entry.room === room && entry.seq === seq);
      const block = this.blocks[planned?.block ?? -1];
      assert(block !== undefined, "MCH-10: needs named the block of a retried key");
      stored = findInBlock(block, room, seq);
      assert(stored !== null, "MCH-10: a located entry is in its block");
    }
    if (!this.sameKey(stored)) return false;
    if (!this.sameContent(stored)) {
      this.answer(resultCodes.key_mismatch);
      return true;
    }
    const view = new DataView(stored.bytes.buffer, stored.bytes.byteOffset + stored.at);
    const epoch = view.getUint32(4, true);
    const time = entryTimeAt(view, 0);
    writeResult(this.reply, this.replyAt, resultCodes.ok, resultFlagDup, epoch, seq, time);
    return true;
  }

  private sameKey(stored: EntryPlace): boolean {
    const { reader, bytes } = this;
    const { at, bytes: old } = stored;
    if (old[at + 2] !== reader.senderBytes) return false;
    return (
      same(old, at + 32, bytes, reader.keyAt, 16) &&
      same(old, at + entryFixedBytes, bytes, reader.senderAt, reader.senderBytes)
    );
  }

  /** Type, parent and body; the salt is the edge's, another edge retries with another one. */
  private sameContent(stored: EntryPlace): boolean {
    const { reader, bytes } = this;
    const { at, bytes: old, length } = stored;
    const head = entryFixedBytes + reader.senderBytes;
    assert(old[at + 3] !== entryFlagRedacted, "MCH-06: this version stores no redacted entry");
    if (old[at + 1] !== reader.type) return false;
    const view = new DataView(old.buffer, old.byteOffset + at, 32);
    if (view.getUint32(24, true) !== reader.parent % 2 ** 32) return false;
    if (view.getUint32(28, true) !== Math.floor(reader.parent / 2 ** 32)) return false;
    if (length !== head + entrySaltBytes + reader.bodyBytes) return false;
    return same(old, at + head + entrySaltBytes, bytes, reader.bodyAt, reader.bodyBytes);
  }

  /** Appends the entry and answers with its seq. */
  private commitPost(room: number, seq: number): void {
    const { tables, reader, bytes, view: source } = this;
    const { rooms, store, state } = tables;
    const page = rooms.page(room);
    const at = rooms.at(room);
    const epoch = page.epoch[at] ?? 0;
    assert(page.head[at] === seq - 1, "MCH-04: seq is dense");
    const length = entryBytes(reader.senderBytes, reader.bodyBytes);
    const address = store.append(page.newest[at] ?? -1, length);
    const target = store.bytesOf(address);
    const view = store.viewOf(address);
    const entry = store.offsetOf(address);
    target[entry] = entryVersion;
    target[entry + 1] = reader.type;
    target[entry + 2] = reader.senderBytes;
    target[entry + 3] = 0;
    view.setUint32(entry + 4, epoch, true);
    writeU64(view, entry + 8, seq);
    writeU64(view, entry + 16, state.timeUs);
    writeU64(view, entry + 24, reader.parent);
    copy(target, view, entry + 32, bytes, source, reader.keyAt, 16);
    const senderAt = entry + entryFixedBytes;
    copy(target, view, senderAt, bytes, source, reader.senderAt, reader.senderBytes);
    const saltAt = senderAt + reader.senderBytes;
    copy(target, view, saltAt, bytes, source, reader.saltAt, entrySaltBytes);
    const bodyAt = saltAt + entrySaltBytes;
    copy(target, view, bodyAt, bytes, source, reader.bodyAt, reader.bodyBytes);
    page.newest[at] = address;
    page.head[at] = seq;
    state.entriesCount += 1;
    tables.markDirty(room);
    if (page.watched[at] === 1) tables.watches.touch(room);
    writeResult(this.reply, this.replyAt, resultCodes.ok, 0, epoch, seq, state.timeUs);
  }
}

function same(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let i = 0; i < length; i += 1) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

/** Copies a range: words, then bytes; faster than a view and a call of `set` for short ones. */
function copy(
  target: Uint8Array,
  targetView: DataView,
  at: number,
  source: Uint8Array,
  sourceView: DataView,
  sourceAt: number,
  length: number,
): void {
  if (length > 512) {
    target.set(source.subarray(sourceAt, sourceAt + length), at);
    return;
  }
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    targetView.setInt32(at + i, sourceView.getInt32(sourceAt + i, true), true);
  }
  for (; i < length; i += 1) target[at + i] = source[sourceAt + i] ?? 0;
}
