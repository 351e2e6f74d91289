import { assert } from "#replica/base/assert.ts";
import { copyRange, sameRange } from "#replica/base/byte-ranges.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import { entryBytes, entryFixedBytes, entryTypes, entryTimeAt } from "#replica/wire/entry.ts";
import {
  entryFlagAuthority,
  entryFlagRedacted,
  entrySaltBytes,
  entryVersion,
} from "#replica/wire/entry.ts";
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
import { threadOf } from "#replica/wire/room-names.ts";
import { writeU64 } from "#replica/base/bytes.ts";
import { cellKinds, cellsMax, tenantScope } from "./cell-table.ts";
import { keyTimeMs } from "./key-row.ts";
import type { Cursor } from "./key-span.ts";
import { keyedHash } from "./keyed-hash.ts";
import { Lookahead } from "./lookahead.ts";
import type { MachineTables } from "./machine-tables.ts";
import { Originals } from "./originals.ts";
import type { BlockAddress } from "./port.ts";
import type { EntryPlace } from "./room-reader.ts";
import { roomRules, roomThread } from "./room-table.ts";
import { floorOf, keyAheadMaxUs, Retention, retentionVersion } from "./retention.ts";
import { cellsPerOperation, Rules } from "./rules.ts";

/** Types whose target is looked at. */
const pointsBack: ReadonlySet<number> = new Set([
  entryTypes.edit,
  entryTypes.redact,
  entryTypes.react,
  entryTypes.unreact,
]);
/** Stands for a result that was written in full, or for nothing to refuse. */
const answered = 0;
const noAddresses: readonly BlockAddress[] = [];
const slash = 0x2f;

/** Applies operations in place; its fields are scratch, so that no operation makes an object. */
export class Applier {
  private readonly tables: MachineTables;
  private readonly reader = new OperationReader();
  private readonly hash = new Int32Array(2);
  private readonly cursor: Cursor = { slot: -1, seq: 0, part: 0 };
  private readonly ahead = new Lookahead();
  private readonly originals: Originals;
  private readonly rules: Rules;
  private readonly retention: Retention;
  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the result of the current operation goes. */
  private reply: DataView = new DataView(new ArrayBuffer(0));
  private replyAt = 0;

  constructor(tables: MachineTables) {
    this.tables = tables;
    this.originals = new Originals(tables);
    this.rules = new Rules(tables, this.reader, this.originals);
    this.retention = new Retention(tables, this.reader, this.originals, this.rules);
  }

  /** Forgets what was planned. */
  reset(): void {
    this.ahead.begin(0);
    this.originals.forget();
    this.originals.end();
  }

  /**
   * Blocks of entries that have left memory and that the op looks at: originals of retried keys,
   * targets of edits, redactions and reactions, roots of new threads. `next`: the op is the one
   * that is applied next, so that what is found need not be looked up again.
   */
  needs(prepare: Prepare, next: boolean): readonly BlockAddress[] {
    const { header, body } = prepare;
    this.ahead.begin(next ? header.op : 0);
    if (header.kind !== "requests" || this.tables.history.length === 0) return noAddresses;
    this.originals.forget(header.op);
    const requests = new RequestReader(body);
    this.open(body);
    const { reader } = this;
    while (requests.next()) {
      reader.open(body, this.view, requests.bodyStart, requests.bodyEnd);
      while (reader.next()) {
        if (reader.fault !== null) continue;
        if (reader.kind === operationKinds.post) this.planPost(header.op);
        else if (reader.kind === operationKinds.trim)
          this.originals.expect(header.op, this.findRoom(), reader.version - 1);
      }
    }
    return this.originals.addresses(header.op);
  }

  private planPost(op: number): void {
    const { tables, reader, cursor, originals } = this;
    const room = this.findRoom();
    if (room < 0) {
      const thread = this.findThread();
      if (thread !== null) originals.expect(op, thread.base, thread.root);
      return;
    }
    const keyMs = keyTimeMs(this.bytes, reader.keyAt);
    this.hashKey(room);
    cursor.slot = -1;
    const head = tables.rooms.page(room).head[tables.rooms.at(room)] ?? 0;
    let unseen = true;
    while (tables.keys.next(keyMs, room, head, this.hash, cursor)) {
      originals.expect(op, room, cursor.seq);
      unseen = false;
    }
    this.ahead.note(reader.keyAt, room, this.hash, unseen);
    if (reader.type !== entryTypes.message && pointsBack.has(reader.type))
      originals.expect(op, room, reader.parent);
  }

  /** Applies a prepare of requests; one reply a request. */
  apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const { header, body } = prepare;
    this.originals.begin(header.op, blocks);
    this.ahead.apply(header.op);
    const requests = new RequestReader(body);
    this.open(body);
    const replies: Uint8Array[] = [];
    while (requests.next()) {
      this.reader.open(body, this.view, requests.bodyStart, requests.bodyEnd);
      replies.push(this.applyRequest(requests.operationsCount));
    }
    assert(requests.reason === null, "MCH-02: a sealed prepare holds whole requests");
    assert(replies.length === header.requestsCount, "MCH-02: a reply a request");
    this.originals.end();
    return replies;
  }

  private open(body: Uint8Array): void {
    this.bytes = body;
    this.rules.open(body);
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
    switch (this.reader.kind) {
      case operationKinds.post:
        return this.applyPost();
      case operationKinds.configure:
      case operationKinds.retain:
        return this.applyConfigure();
      case operationKinds.trim:
        return this.applyTrim();
      default:
        return this.applyCreate();
    }
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

  /** Creation of a room, of one for two people among them. */
  private applyCreate(): number {
    const { tables, reader } = this;
    const { rooms, state } = tables;
    const slot = this.slotOfReader();
    if (state.slotEpochs[slot] === 0) return this.answerMoved(slot);
    const { roomAt, roomBytes } = reader;
    const named = this.bytes.subarray(roomAt, roomAt + roomBytes);
    if (named.includes(slash)) return resultCodes.bad_operation;
    const pair = reader.kind === operationKinds.create_dm;
    let room = this.findRoom();
    let code: number = resultCodes.room_exists;
    if (room < 0) {
      if (rooms.count >= state.roomsMax) return resultCodes.busy;
      if (tables.cells.count + cellsPerOperation > cellsMax) return resultCodes.busy;
      const used = this.rules.tenantCell(cellKinds.rooms);
      const most = this.rules.tenantCell(cellKinds.quotaRooms);
      if (most > 0 && used >= most) return resultCodes.quota;
      room = this.addRoom(pair ? 0 : reader.senderBytes, 1);
      this.rules.setTenantCell(cellKinds.rooms, used + 1);
      if (pair) this.rules.makePair(room);
      code = resultCodes.ok;
    } else if (pair !== this.rules.isPair(room)) return resultCodes.key_mismatch;
    const page = rooms.page(room);
    const at = rooms.at(room);
    const epoch = page.epoch[at] ?? 0;
    writeResult(this.reply, this.replyAt, code, 0, epoch, page.head[at] ?? 0, 0);
    return answered;
  }

  /** Adds the room or thread that the reader names. */
  private addRoom(creatorBytes: number, epoch: number): number {
    const { tables, reader } = this;
    const { rooms, state } = tables;
    const { tenantAt, tenantBytes, roomBytes } = reader;
    const room = rooms.add(this.bytes, tenantAt, tenantBytes, roomBytes, creatorBytes);
    const created = rooms.page(room);
    created.epoch[rooms.at(room)] = epoch;
    created.createdUs[rooms.at(room)] = state.timeUs;
    if (tables.watches.count > 0 && tables.watches.found(rooms.name(room), room, 0)) {
      tables.setWatched(room, 1);
    }
    return room;
  }

  private applyConfigure(): number {
    const { tables, reader, rules } = this;
    const { rooms, state, cells } = tables;
    const retaining = reader.kind === operationKinds.retain;
    if (retaining && state.version < retentionVersion) return resultCodes.bad_operation;
    let scope: number = tenantScope;
    if (reader.roomBytes > 0) {
      scope = this.findRoom();
      const slot = scope < 0 ? this.slotOfReader() : (rooms.page(scope).slot[rooms.at(scope)] ?? 0);
      if (state.slotEpochs[slot] === 0) return this.answerMoved(slot);
      if (scope < 0) return resultCodes.no_room;
      if (rooms.page(scope).base[rooms.at(scope)] !== scope) return resultCodes.bad_operation;
    }
    if (cells.count + cellsPerOperation > cellsMax) return resultCodes.busy;
    const outcome = retaining
      ? this.retention.retain(scope)
      : rules.configure(scope, reader.version, reader.readQuotas());
    if (outcome !== resultCodes.ok && outcome !== resultCodes.room_exists) return outcome;
    const flags = outcome === resultCodes.ok ? 0 : resultFlagDup;
    const { reply, replyAt } = this;
    writeResult(reply, replyAt, resultCodes.ok, flags, 0, reader.version, state.timeUs);
    return answered;
  }

  private applyTrim(): number {
    const { tables } = this;
    const { rooms, state, cells } = tables;
    if (state.version < retentionVersion) return resultCodes.bad_operation;
    const room = this.findRoom();
    const slot = room < 0 ? this.slotOfReader() : (rooms.page(room).slot[rooms.at(room)] ?? 0);
    if (state.slotEpochs[slot] === 0) return this.answerMoved(slot);
    if (room < 0) return resultCodes.no_room;
    if (cells.count + cellsPerOperation > cellsMax) return resultCodes.busy;
    const code = this.retention.trim(room);
    writeResult(this.reply, this.replyAt, code, 0, 0, floorOf(tables, room), state.timeUs);
    return answered;
  }

  private applyPost(): number {
    const { tables, reader, cursor, rules, ahead, hash } = this;
    const { rooms, state, keys } = tables;
    const known = ahead.take(reader.keyAt, hash);
    const room = known ? ahead.room : this.findRoom();
    assert(room < rooms.count, "MCH-23: a room found before is still there");
    if (room < 0) return this.applyStray();
    const page = rooms.page(room);
    const at = rooms.at(room);
    const slot = page.slot[at] ?? 0;
    if (state.slotEpochs[slot] === 0) return this.answerMoved(slot);
    const head = page.head[at] ?? 0;
    if (reader.parent > head) return resultCodes.bad_operation;
    const keyMs = keyTimeMs(this.bytes, reader.keyAt);
    const untimely = this.judgeKey(keyMs);
    if (untimely !== answered) return untimely;
    if (!known) this.hashKey(room);
    cursor.slot = -1;
    const unseen = known && ahead.unseen;
    while (keys.next(keyMs, room, head, hash, cursor, unseen)) {
      // Keys of entries that are gone are too old by now: one below the floor is another key.
      if (cursor.seq < (page.floor[at] ?? 0)) continue;
      if (this.answerIfKnown(room, cursor.seq)) return answered;
    }
    if (keys.count >= state.keysMax) return resultCodes.busy;
    let flags = reader.authority === 1 ? entryFlagAuthority : 0;
    const special = page.special[at] ?? 0;
    const ruled = reader.type !== entryTypes.message || tables.tenantRates > 0;
    if (ruled || (special & (roomRules | roomThread)) !== 0) {
      const base = page.base[at] ?? 0;
      const code = rules.judge(room, base);
      if (code !== answered) return this.refuse(code, room);
      flags = rules.flags;
      rules.commit(room, base, head + 1);
    }
    this.commitPost(room, head + 1, flags);
    keys.add(keyMs, room, head + 1, hash);
    return answered;
  }

  /** A code that refuses the key for its own time, or 0. */
  private judgeKey(keyMs: number): number {
    const { state } = this.tables;
    const ahead = keyMs * 1000 - state.timeUs;
    if (ahead < -state.keyWindowUs) return resultCodes.key_too_old;
    return ahead > keyAheadMaxUs ? resultCodes.key_in_future : answered;
  }

  /** A post to a room that is not there: perhaps the first answer of a thread. */
  private applyStray(): number {
    const slot = this.slotOfReader();
    if (this.tables.state.slotEpochs[slot] === 0) return this.answerMoved(slot);
    const thread = this.findThread();
    if (thread === null) return resultCodes.no_room;
    if (this.reader.parent > 0) return resultCodes.bad_operation;
    const keyMs = keyTimeMs(this.bytes, this.reader.keyAt);
    const untimely = this.judgeKey(keyMs);
    if (untimely !== answered) return untimely;
    return this.applyFirstAnswer(thread.base, thread.root, keyMs);
  }

  /** A refusal; one of the rate says when the next second begins, `gone` what is left. */
  private refuse(code: number, room: number): number {
    if (code === resultCodes.gone) {
      writeResult(this.reply, this.replyAt, code, 0, 0, floorOf(this.tables, room), 0);
      return answered;
    }
    if (code !== resultCodes.rate_limited) return code;
    const next = (Math.floor(this.tables.state.timeUs / 1_000_000) + 1) * 1_000_000;
    writeResult(this.reply, this.replyAt, code, 0, 0, 0, next);
    return answered;
  }

  /** The first answer in a thread makes it, and says so in its room. */
  private applyFirstAnswer(base: number, root: number, keyMs: number): number {
    const { tables, reader, rules } = this;
    const { rooms, state, keys } = tables;
    if (keys.count >= state.keysMax || rooms.count >= state.roomsMax) return resultCodes.busy;
    if (reader.type !== entryTypes.message) return resultCodes.no_room;
    const unfit = rules.judgeRoot(base, root);
    if (unfit !== answered) return this.refuse(unfit, base);
    const code = rules.judge(base, base);
    if (code !== answered) return this.refuse(code, base);
    const page = rooms.page(base);
    const at = rooms.at(base);
    rules.setCell(base, cellKinds.threads, rules.cell(base, cellKinds.threads) + 1);
    const { type, bodyBytes } = reader;
    reader.type = entryTypes.thread;
    reader.parent = root;
    reader.bodyBytes = 0;
    this.commitPost(base, (page.head[at] ?? 0) + 1, rules.flags);
    reader.type = type;
    reader.parent = 0;
    reader.bodyBytes = bodyBytes;
    const room = this.addRoom(0, page.epoch[at] ?? 0);
    rules.commit(room, base, 1);
    this.commitPost(room, 1, rules.flags);
    this.hashKey(room);
    keys.add(keyMs, room, 1, this.hash);
    return answered;
  }

  /** Room and root of the thread that the reader names, if they could be. */
  private findThread(): { readonly base: number; readonly root: number } | null {
    const { reader, bytes, tables } = this;
    const { tenantAt, tenantBytes, roomAt, roomBytes } = reader;
    const named = bytes.subarray(roomAt, roomAt + roomBytes);
    if (!named.includes(slash)) return null;
    const thread = threadOf(textFromUtf8(named) ?? "");
    if (thread === null) return null;
    const { rooms } = tables;
    const base = rooms.find(bytes, tenantAt, tenantBytes, roomAt, named.indexOf(slash));
    if (base < 0 || thread.root > (rooms.page(base).head[rooms.at(base)] ?? 0)) return null;
    return { base, root: thread.root };
  }

  private hashKey(room: number): void {
    const { reader, tables, bytes } = this;
    const { keyHash0, keyHash1 } = tables;
    const { keyAt, senderAt, senderBytes } = reader;
    keyedHash(this.hash, keyHash0, keyHash1, room, bytes, keyAt, 16, senderAt, senderBytes);
  }

  /** Compares with the stored entry; false when only the hashes were equal. */
  private answerIfKnown(room: number, seq: number): boolean {
    const stored = this.originals.find(room, seq);
    if (!this.sameKey(stored)) return false;
    if (!this.sameContent(room, seq, stored)) {
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
      sameRange(old, at + 32, bytes, reader.keyAt, 16) &&
      sameRange(old, at + entryFixedBytes, bytes, reader.senderAt, reader.senderBytes)
    );
  }

  /**
   * Type, parent and body; the salt is the edge's, another edge retries with another one. The body
   * of a redacted entry is gone, so a retry of it is taken for the same.
   */
  private sameContent(room: number, seq: number, stored: EntryPlace): boolean {
    const { reader, bytes } = this;
    const { at, bytes: old, length } = stored;
    const head = entryFixedBytes + reader.senderBytes;
    if (old[at + 1] !== reader.type) return false;
    const view = new DataView(old.buffer, old.byteOffset + at, 32);
    if (view.getUint32(24, true) !== reader.parent % 2 ** 32) return false;
    if (view.getUint32(28, true) !== Math.floor(reader.parent / 2 ** 32)) return false;
    if (this.rules.cell(room, cellKinds.redacted, seq) > 0) return true;
    assert(((old[at + 3] ?? 0) & entryFlagRedacted) === 0, "MCH-06: only redacted entries lack it");
    if (length !== head + entrySaltBytes + reader.bodyBytes) return false;
    return sameRange(old, at + head + entrySaltBytes, bytes, reader.bodyAt, reader.bodyBytes);
  }

  /** Appends the entry and answers with its seq. */
  private commitPost(room: number, seq: number, flags: number): void {
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
    target[entry + 3] = flags;
    view.setUint32(entry + 4, epoch, true);
    writeU64(view, entry + 8, seq);
    writeU64(view, entry + 16, state.timeUs);
    writeU64(view, entry + 24, reader.parent);
    copyRange(target, view, entry + 32, bytes, source, reader.keyAt, 16);
    const senderAt = entry + entryFixedBytes;
    copyRange(target, view, senderAt, bytes, source, reader.senderAt, reader.senderBytes);
    const saltAt = senderAt + reader.senderBytes;
    copyRange(target, view, saltAt, bytes, source, reader.saltAt, entrySaltBytes);
    const bodyAt = saltAt + entrySaltBytes;
    copyRange(target, view, bodyAt, bytes, source, reader.bodyAt, reader.bodyBytes);
    page.newest[at] = address;
    page.head[at] = seq;
    state.entriesCount += 1;
    tables.markDirty(room);
    if (tables.byteRetentions > 0) this.retention.count(room, seq, length);
    if (page.watched[at] === 1) tables.watches.touch(room);
    writeResult(this.reply, this.replyAt, resultCodes.ok, 0, epoch, seq, state.timeUs);
  }
}
