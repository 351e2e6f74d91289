import { assert } from "#replica/base/assert.ts";
import { checksumOf, clientIdFrom, opFrom } from "#replica/base/brands.ts";
import type { Checksum, ClientId, Op } from "#replica/base/brands.ts";
import { bytesFromHex, hexFrom, readU64, writeU64 } from "#replica/base/bytes.ts";
import { sessionWindowMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";

declare const MUTATIONS: boolean | undefined;

/** The stored answer to one committed request. */
export interface StoredReply {
  readonly requestNumber: number;
  readonly requestChecksum: Checksum;
  readonly op: Op;
  readonly body: Uint8Array;
}

/** One client's session: what it has committed, and the last answers (rule A9). */
export interface Session {
  /** Op of the registration. */
  readonly session: Op;
  readonly clientId: ClientId;
  /** Highest committed request number; numbers are dense from 1. */
  committed: number;
  /** Op of the last commit; the oldest goes first when the table is full. */
  lastOp: Op;
  /** The last sessionWindowMax answers, ascending. */
  replies: StoredReply[];
  /** Highest number in the primary's queue or pipeline; not part of the state. */
  prepared: number;
}

const sessionBytes = 48;
const replyBytes = 52;

/** Table of clients' sessions. Only committed requests change it; deterministic everywhere. */
export class Sessions {
  private readonly countMax: number;
  private readonly bySession = new Map<number, Session>();
  private readonly byClient = new Map<string, Session>();

  /** `countMax`: sessions remembered at most. */
  constructor(countMax: number) {
    this.countMax = countMax;
  }

  /** Sessions held. */
  get count(): number {
    return this.bySession.size;
  }

  /** The session, or undefined: evicted or never registered. */
  get(session: Op): Session | undefined {
    return this.bySession.get(session);
  }

  /** The session of a client, or undefined. */
  ofClient(clientId: string): Session | undefined {
    return this.byClient.get(clientId);
  }

  /** All sessions in order of registration. */
  values(): IterableIterator<Session> {
    return this.bySession.values();
  }

  /** Commits a registration; the same client again keeps its session. */
  register(clientId: ClientId, op: Op): Session {
    const known = this.byClient.get(clientId);
    if (known !== undefined) return known;
    if (this.bySession.size >= this.countMax) this.evict();
    const session: Session = {
      session: op,
      clientId,
      committed: 0,
      lastOp: op,
      replies: [],
      prepared: 0,
    };
    assert(!this.bySession.has(op), "VSR-30: one registration a prepare");
    this.bySession.set(op, session);
    this.byClient.set(clientId, session);
    return session;
  }

  /** Commits a request. A session that was evicted meanwhile is left alone. */
  commit(session: Op, reply: StoredReply): void {
    const entry = this.bySession.get(session);
    if (entry === undefined) return;
    assert(reply.requestNumber === entry.committed + 1, "VSR-31: each request commits once");
    entry.committed = reply.requestNumber;
    entry.prepared = Math.max(entry.prepared, reply.requestNumber);
    entry.lastOp = reply.op;
    entry.replies.push(reply);
    if (entry.replies.length > sessionWindowMax) entry.replies.shift();
  }

  /** The stored answer, or undefined when it is older than the window. */
  reply(entry: Session, requestNumber: number): StoredReply | undefined {
    return entry.replies.find((reply) => reply.requestNumber === requestNumber);
  }

  /** The table as bytes, the same on every replica (part of a checkpoint). */
  encode(): Uint8Array {
    let bytes = 8;
    for (const entry of this.bySession.values()) {
      bytes += sessionBytes;
      for (const reply of entry.replies) bytes += replyBytes + reply.body.length;
    }
    const target = new Uint8Array(bytes);
    const view = new DataView(target.buffer);
    writeU64(view, 0, this.bySession.size);
    let at = 8;
    for (const entry of this.bySession.values()) {
      writeU64(view, at, entry.session);
      target.set(bytesFromHex(entry.clientId), at + 8);
      writeU64(view, at + 24, entry.committed);
      writeU64(view, at + 32, entry.lastOp);
      view.setUint32(at + 40, entry.replies.length, true);
      at += sessionBytes;
      for (const reply of entry.replies) at = encodeReply(target, view, at, reply);
    }
    assert(at === bytes, "VSR-32: the table fills its bytes");
    return target;
  }

  /** Replaces the table by an encoded one; empty bytes are an empty table. Asserts its form. */
  load(bytes: Uint8Array): void {
    this.bySession.clear();
    this.byClient.clear();
    const forget = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("forget_sessions");
    if (bytes.length === 0 || forget) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = readU64(view, 0);
    assert(count <= this.countMax, "VSR-32: sessions fit the table");
    let at = 8;
    for (let i = 0; i < count; i += 1) at = this.loadSession(bytes, view, at);
    assert(at === bytes.length, "VSR-32: the table fills its bytes");
  }

  private loadSession(bytes: Uint8Array, view: DataView, start: number): number {
    const session: Session = {
      session: opFrom(readU64(view, start)),
      clientId: clientIdFrom(hexFrom(bytes.subarray(start + 8, start + 24))),
      committed: readU64(view, start + 24),
      lastOp: opFrom(readU64(view, start + 32)),
      replies: [],
      prepared: readU64(view, start + 24),
    };
    const replies = view.getUint32(start + 40, true);
    assert(replies <= sessionWindowMax, "VSR-32: replies fit the window");
    let at = start + sessionBytes;
    for (let i = 0; i < replies; i += 1) {
      const length = view.getUint32(at + 48, true);
      session.replies.push({
        requestNumber: readU64(view, at),
        op: opFrom(readU64(view, at + 8)),
        requestChecksum: checksumOf(bytes.subarray(at + 16, at + 48)),
        body: bytes.slice(at + replyBytes, at + replyBytes + length),
      });
      at += replyBytes + length;
    }
    this.bySession.set(session.session, session);
    this.byClient.set(session.clientId, session);
    return at;
  }

  private evict(): void {
    let oldest: Session | undefined;
    for (const entry of this.bySession.values()) {
      // Sessions stand in order of registration, so the lower session wins a tie.
      if (oldest === undefined || entry.lastOp < oldest.lastOp) oldest = entry;
    }
    if (oldest === undefined) return;
    this.bySession.delete(oldest.session);
    this.byClient.delete(oldest.clientId);
  }
}

function encodeReply(target: Uint8Array, view: DataView, at: number, reply: StoredReply): number {
  writeU64(view, at, reply.requestNumber);
  writeU64(view, at + 8, reply.op);
  target.set(bytesFromHex(reply.requestChecksum), at + 16);
  view.setUint32(at + 48, reply.body.length, true);
  target.set(reply.body, at + replyBytes);
  return at + replyBytes + reply.body.length;
}
