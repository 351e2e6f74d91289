import { postOutcomeOf, refused } from "#edge/connection/intents.ts";
import type { PostIntent, PostOutcome } from "#edge/connection/intents.ts";
import {
  requestBodyBytesMax,
  requestOperationsMax,
  sessionWindowMax,
} from "#replica/base/limits.ts";
import { utf8From } from "#replica/base/text.ts";
import { random } from "#replica/crypto/hash.ts";
import type { ShardLinkPort, SubmitOutcome } from "#replica/transport/shard-link.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  operationBytesMax,
  postBytes,
  readResult,
} from "#replica/wire/operation.ts";
import type { Quotas, Retention } from "#replica/wire/operation.ts";
import {
  appendConfigure,
  appendCreateDm,
  appendRetain,
  configureBytes,
  createDmBytes,
} from "#replica/wire/room-operation.ts";

/** Told what became of one operation; never called inside the call that submitted it. */
export type PostDone = (outcome: PostOutcome) => void;

/** The same of one shard, which may say that the room is another's and took nothing. */
export type PosterDone = (outcome: PostOutcome | "moved") => void;

/** Batches that may wait behind those in flight; then posts are refused as busy. */
const batchesWaitingMax = 16;
/** While a batch is in flight the next one gathers company for this long. */
const gatherMs = 1;
const saltBytes = 16;
const saltPoolBytes = 16 * 1024;

/** Quotas and their version. */
export interface QuotasIntent extends Quotas {
  readonly version: number;
}

/** Retention and its version. */
export interface RetentionIntent extends Retention {
  readonly version: number;
}

interface Batch {
  bytes: Uint8Array;
  view: DataView;
  used: number;
  readonly dones: PosterDone[];
  readonly startedMs: number;
}

/** Counters for metrics. */
export interface PosterCounts {
  operations: number;
  batches: number;
  refused: number;
  unknown: number;
}

/**
 * Gathers the posts of all clients into requests of one shard: one request a turn of the event loop
 * when nothing is in flight, else one a millisecond or when full, up to the session's window.
 */
export class ShardPoster {
  readonly counts: PosterCounts = { operations: 0, batches: 0, refused: 0, unknown: 0 };
  private readonly link: ShardLinkPort;
  private readonly waiting: Batch[] = [];
  private inFlight = 0;
  private scheduled = false;
  private salts = random(saltPoolBytes);
  private saltNext = 0;

  private readonly observe: (ms: number) => void;

  /** Posts through this link. `observe` hears how long the oldest post of each batch took. */
  constructor(link: ShardLinkPort, observe: (ms: number) => void = () => undefined) {
    this.link = link;
    this.observe = observe;
  }

  /** Posts an entry. */
  post(intent: PostIntent, done: PosterDone): void {
    const fields = {
      tenant: utf8From(intent.name.tenant),
      room: utf8From(intent.name.room),
      sender: utf8From(intent.sender),
      key: intent.key,
      salt: this.salt(),
      type: intent.type,
      parent: intent.parent,
      body: intent.body,
      authority: intent.authority === true,
    };
    const batch = this.roomFor(postBytes(fields), done);
    if (batch === null) return;
    batch.used = appendPost(batch.view, batch.bytes, batch.used, fields);
    batch.dones.push(done);
    this.schedule(batch);
  }

  /** Creates a room; `dup` = it was there. */
  createRoom(name: RoomName, creator: string, done: PosterDone): void {
    const fields = {
      tenant: utf8From(name.tenant),
      room: utf8From(name.room),
      creator: utf8From(creator),
    };
    const batch = this.roomFor(createRoomBytes(fields), done);
    if (batch === null) return;
    batch.used = appendCreateRoom(batch.view, batch.bytes, batch.used, fields);
    batch.dones.push(done);
    this.schedule(batch);
  }

  /** Creates the room of two people, `low` before `high`; `dup` = it was there. */
  createDm(name: RoomName, low: string, high: string, done: PosterDone): void {
    const fields = {
      tenant: utf8From(name.tenant),
      room: utf8From(name.room),
      low: utf8From(low),
      high: utf8From(high),
    };
    const batch = this.roomFor(createDmBytes(fields), done);
    if (batch === null) return;
    batch.used = appendCreateDm(batch.view, batch.bytes, batch.used, fields);
    batch.dones.push(done);
    this.schedule(batch);
  }

  /** Sets quotas of a room, or (empty room) of the tenant; `dup` = they held before. */
  configure(name: RoomName, by: string, quotas: QuotasIntent, done: PosterDone): void {
    const fields = {
      tenant: utf8From(name.tenant),
      room: utf8From(name.room),
      by: utf8From(by),
      ...quotas,
    };
    const batch = this.roomFor(configureBytes(fields), done);
    if (batch === null) return;
    batch.used = appendConfigure(batch.view, batch.bytes, batch.used, fields);
    batch.dones.push(done);
    this.schedule(batch);
  }

  /** Sets how long a room, or (empty room) the tenant, keeps history; `dup` = it held before. */
  retain(name: RoomName, by: string, retention: RetentionIntent, done: PosterDone): void {
    const fields = {
      tenant: utf8From(name.tenant),
      room: utf8From(name.room),
      by: utf8From(by),
      ...retention,
    };
    const batch = this.roomFor(configureBytes(fields), done);
    if (batch === null) return;
    batch.used = appendRetain(batch.view, batch.bytes, batch.used, fields);
    batch.dones.push(done);
    this.schedule(batch);
  }

  /** Operations that wait or are in flight. */
  get pendingCount(): number {
    return this.waiting.reduce((sum, batch) => sum + batch.dones.length, this.inFlight);
  }

  /** The batch that an operation of that size goes into; null = refused. */
  private roomFor(bytes: number, done: PosterDone): Batch | null {
    const last = this.waiting.at(-1);
    if (last !== undefined && fits(last, bytes)) return last;
    if (this.waiting.length >= batchesWaitingMax) {
      this.counts.refused += 1;
      setImmediate(done, refused("NO_LEADER", 100));
      return null;
    }
    const size = Math.min(requestBodyBytesMax, last === undefined ? 8192 : requestBodyBytesMax);
    const buffer = new Uint8Array(Math.max(size, bytes));
    const batch = {
      bytes: buffer,
      view: new DataView(buffer.buffer),
      used: 0,
      dones: [],
      startedMs: performance.now(),
    };
    this.waiting.push(batch);
    return batch;
  }

  private schedule(batch: Batch): void {
    this.counts.operations += 1;
    if (batch.used + operationBytesMax > requestBodyBytesMax) this.flush();
    if (this.scheduled || this.waiting.length === 0) return;
    this.scheduled = true;
    const turn = () => {
      this.scheduled = false;
      this.flush();
    };
    if (this.inFlight === 0) setImmediate(turn);
    else setTimeout(turn, gatherMs);
  }

  private flush(): void {
    while (this.inFlight < sessionWindowMax) {
      const batch = this.waiting.shift();
      if (batch === undefined) return;
      this.inFlight += 1;
      this.counts.batches += 1;
      const operations = batch.bytes.subarray(0, batch.used);
      this.link.submit(operations, batch.dones.length, (outcome) => this.settle(batch, outcome));
    }
  }

  private settle(batch: Batch, outcome: SubmitOutcome): void {
    this.inFlight -= 1;
    this.observe(performance.now() - batch.startedMs);
    if (this.waiting.length > 0) this.flush();
    if (outcome.kind === "ok") {
      for (const [index, done] of batch.dones.entries()) {
        const result = readResult(outcome.results, index);
        done(result?.code === "moved" ? "moved" : postOutcomeOf(result));
      }
      return;
    }
    if (outcome.kind === "unknown") this.counts.unknown += batch.dones.length;
    else this.counts.refused += batch.dones.length;
    const refusal =
      outcome.kind === "unknown"
        ? refused("UNKNOWN_OUTCOME", 200)
        : refused("NO_LEADER", Math.max(50, outcome.retryMs));
    for (const done of batch.dones) done(refusal);
  }

  private salt(): Uint8Array {
    if (this.saltNext + saltBytes > this.salts.length) {
      this.salts = random(saltPoolBytes);
      this.saltNext = 0;
    }
    this.saltNext += saltBytes;
    return this.salts.subarray(this.saltNext - saltBytes, this.saltNext);
  }
}

/** True when the operation fits; grows a small buffer to the largest when it must. */
function fits(batch: Batch, bytes: number): boolean {
  if (batch.dones.length >= requestOperationsMax) return false;
  if (batch.used + bytes > requestBodyBytesMax) return false;
  if (batch.used + bytes > batch.bytes.length) {
    const grown = new Uint8Array(requestBodyBytesMax);
    grown.set(batch.bytes.subarray(0, batch.used));
    batch.bytes = grown;
    batch.view = new DataView(grown.buffer);
  }
  return true;
}
