import { assert } from "#replica/base/assert.ts";
import { utf8From } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { ResultCode } from "#replica/wire/operation.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  postBytes,
  readResult,
} from "#replica/wire/operation.ts";
import type { AuditFact, AuditLine } from "./audit-line.ts";
import { auditLine, encodeAuditLine } from "./audit-line.ts";
import { notedRecord, recordsOf, sentRecord, settledRecord, waitingFrom } from "./audit-memory.ts";
import type { AuditMemory, SentAs, WaitingLine } from "./audit-memory.ts";

/** Lines that wait at most; a further one is counted instead. */
export const auditWaitingMax = 256;
/** Lines of one request at most. */
export const auditBatchMax = 16;
/** A line that is first sent this long after it was noted is marked late, microseconds. */
export const auditLateUs = 5_000_000;

/** Chance, given from outside. */
export interface AuditChance {
  /** A fresh UUIDv7 of that time, 16 bytes. */
  key(wallUs: number): Uint8Array;
  /** 16 random bytes. */
  salt(): Uint8Array;
}

/** Operations of one request. */
export interface AuditBatch {
  readonly operations: Uint8Array;
  readonly count: number;
}

/** Records beyond the lines that wait, before they are written anew. */
const settledMax = 1_024;

/**
 * Lines on their way into the audit room. Pure: what is noted waits, bounded; `next` makes a
 * request of some, `answered` tells what became of it. One request at a time, so lines keep their
 * order. What waits is remembered across lives: a line is sent again, as it was, until it is in
 * the room.
 */
export class AuditWriter {
  /** Lines that were not noted because too many waited, since the start. */
  droppedCount = 0;
  private readonly room: RoomName;
  private readonly by: string;
  private readonly chance: AuditChance;
  private readonly waiting: WaitingLine[];
  private readonly memory: AuditMemory | null;
  private nextN: number;
  private records = 0;
  private inFlight = 0;
  private roomKnown = false;
  private droppedTold = 0;

  /** `by`: who writes, as in AuditLine. `memory`: null = what waits is lost with the process. */
  constructor(room: RoomName, by: string, chance: AuditChance, memory: AuditMemory | null = null) {
    this.room = room;
    this.by = by;
    this.chance = chance;
    this.memory = memory;
    this.waiting = waitingFrom(memory?.records ?? "", auditWaitingMax);
    this.nextN = (this.waiting.at(-1)?.n ?? 0) + 1;
    memory?.replace(recordsOf(this.waiting));
  }

  /** Lines that wait or are on their way. */
  get count(): number {
    return this.waiting.length;
  }

  /** Notes a line of this writer. */
  note(kind: string, facts: Readonly<Record<string, AuditFact>>, wallUs: number): void {
    const line = auditLine({ kind, by: this.by, atUs: wallUs, late: false, facts });
    assert(line !== null, "AUD-01: a line of ours is well-formed");
    this.take(line);
  }

  /** Takes a line, with a key (UUIDv7) of somebody else's; false when there is no room for it. */
  take(line: AuditLine, key: Uint8Array | null = null): boolean {
    if (this.waiting.length >= auditWaitingMax) {
      this.droppedCount += 1;
      return false;
    }
    const waiting = { n: this.nextN, line, key, sent: null };
    this.nextN += 1;
    this.waiting.push(waiting);
    this.remember(notedRecord(waiting));
    return true;
  }

  private remember(record: string): void {
    this.memory?.append(record);
    this.records += 1;
  }

  /** The next request, or null when nothing waits or one is on its way. */
  next(wallUs: number): AuditBatch | null {
    if (this.inFlight > 0) return null;
    if (this.droppedCount > this.droppedTold && this.waiting.length < auditWaitingMax) {
      const count = this.droppedCount - this.droppedTold;
      this.droppedTold = this.droppedCount;
      this.note("lines_dropped", { count }, wallUs);
    }
    const batch = this.waiting.slice(0, auditBatchMax);
    if (batch.length === 0) return null;
    this.inFlight = batch.length;
    return this.encode(batch, wallUs);
  }

  /** What became of the last request: results as the shard gave them, or null. */
  answered(results: Uint8Array | null): void {
    const count = this.inFlight;
    assert(count > 0, "AUD-02: one request is answered at a time");
    this.inFlight = 0;
    if (results === null) return;
    const first = this.roomKnown ? 0 : 1;
    const made = first === 0 ? "room_exists" : readResult(results, 0)?.code;
    if (made === "ok" || made === "room_exists") this.roomKnown = true;
    let done = 0;
    for (; done < count; done += 1) {
      const code = readResult(results, first + done)?.code;
      if (!settles(code)) break;
      // Sent in an earlier life, a day ago or more: whether it was taken then is not known here.
      if (code === "key_too_old") this.droppedCount += 1;
    }
    const last = this.waiting.splice(0, done).at(-1);
    if (last === undefined) return;
    if (this.waiting.length === 0 || this.records > settledMax) {
      this.records = 0;
      this.memory?.replace(recordsOf(this.waiting));
    } else this.remember(settledRecord(last.n));
  }

  private encode(batch: readonly WaitingLine[], wallUs: number): AuditBatch {
    const tenant = utf8From(this.room.tenant);
    const room = utf8From(this.room.room);
    const creator = utf8From(this.by);
    const creation = { tenant, room, creator };
    const posts = batch.map((waiting) => {
      const { key, salt, late } = this.frozen(waiting, wallUs);
      const body = encodeAuditLine({ ...waiting.line, late });
      const sender = utf8From(waiting.line.by);
      const fixed = { type: "message" as const, parent: 0, authority: true };
      return { tenant, room, sender, key, salt, body, ...fixed };
    });
    const size = posts.reduce((sum, post) => sum + postBytes(post), 0);
    const bytes = new Uint8Array(size + (this.roomKnown ? 0 : createRoomBytes(creation)));
    const view = new DataView(bytes.buffer);
    let at = this.roomKnown ? 0 : appendCreateRoom(view, bytes, 0, creation);
    for (const post of posts) at = appendPost(view, bytes, at, post);
    return { operations: bytes, count: posts.length + (this.roomKnown ? 0 : 1) };
  }

  private frozen(waiting: WaitingLine, wallUs: number): SentAs {
    if (waiting.sent !== null) return waiting.sent;
    const { line } = waiting;
    const late = line.late || wallUs - line.atUs > auditLateUs;
    const key = waiting.key ?? this.chance.key(wallUs);
    waiting.sent = { key, salt: this.chance.salt(), late };
    // Before it leaves: whoever sends it after this life sends the same.
    this.remember(sentRecord(waiting.n, waiting.sent));
    return waiting.sent;
  }
}

/** True when the line is in the log, or never will be: it is not sent again. */
function settles(code: ResultCode | undefined): boolean {
  if (code === undefined || code === "busy" || code === "moved") return false;
  return code !== "rate_limited" && code !== "no_room";
}
