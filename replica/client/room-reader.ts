import type { ReplicaIndex } from "#replica/base/brands.ts";
import type {
  ClientMessage,
  ReadQuestion,
  RoomAnswer,
  RoomName,
  ServerMessage,
} from "#replica/wire/client-message.ts";

/** A read's answer. `entries`: encoded (entry.ts), ascending, each behind its u32 length. */
export type ReadOutcome =
  | { readonly kind: "ok"; readonly answer: RoomAnswer; readonly entries: Uint8Array }
  /** No replica answered within the deadline, or too much is asked at once; retry later. */
  | { readonly kind: "unavailable" };

/** What a reader wants done, in order. */
export type ReaderEffect =
  | { readonly kind: "send"; readonly to: ReplicaIndex; readonly message: ClientMessage }
  | { readonly kind: "read"; readonly id: number; readonly outcome: ReadOutcome }
  /** `id`: of the call of `watch` that this answers, or null when the watch was made again. */
  | {
      readonly kind: "watched";
      readonly id: number | null;
      readonly name: RoomName;
      readonly answer: RoomAnswer;
    }
  | { readonly kind: "entries"; readonly name: RoomName; readonly entries: Uint8Array };

/** Reads in flight of one client at most. */
export const readsMax = 4096;
/** Rooms watched by one client at most. */
export const watchesMax = 65_536;

const retryMs = 50;

interface PendingRead {
  readonly name: RoomName;
  readonly range: ReadQuestion;
  readonly deadlineMs: number;
  /** Replica asked, or null while none can be. */
  to: ReplicaIndex | null;
  /** When to ask (again). */
  askAtMs: number;
}

interface Watch {
  readonly name: RoomName;
  /** Calls not yet answered, each with its deadline. */
  waiting: { readonly id: number; readonly deadlineMs: number }[];
  /** Id of the last watch frame sent and not answered. */
  askedId: number | null;
  /** Answered by the present primary on its present connection. */
  live: boolean;
  /** When to ask (again). */
  askAtMs: number;
}

/**
 * Reads and watches of one client at one shard. A read goes to the primary, else to any normal
 * replica, until it is answered or its deadline passes. A watch stands at the primary and is made
 * again wherever the primary goes; what came meanwhile is a hole that the owner sees by seq.
 */
export class RoomReader {
  private readonly deadlineMs: number;
  private readonly resendMs: number;
  private readonly reads = new Map<number, PendingRead>();
  private readonly watches = new Map<string, Watch>();
  /** Which room an unanswered watch frame was for. */
  private readonly asked = new Map<number, string>();
  private effects: ReaderEffect[] = [];
  private primary: ReplicaIndex | null = null;
  private readable: ReplicaIndex | null = null;
  private idNext = 1;
  private wakeMs = Number.POSITIVE_INFINITY;

  /** Milliseconds to answer within, and from asking to asking again. */
  constructor(options: { readonly deadlineMs: number; readonly resendMs: number }) {
    this.deadlineMs = options.deadlineMs;
    this.resendMs = options.resendMs;
  }

  /** When {@link tick} wants to be called next; Infinity = not before another event. */
  get wakeAtMs(): number {
    return this.wakeMs;
  }

  /** Rooms watched. */
  get watchesCount(): number {
    return this.watches.size;
  }

  /** Takes the effects since the last call. */
  drain(): readonly ReaderEffect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  /** Asks for entries or a proof; the outcome comes as an effect with the returned id. */
  read(name: RoomName, range: ReadQuestion, nowMs: number): number {
    const id = this.newId();
    if (this.reads.size >= readsMax) {
      this.effects.push({ kind: "read", id, outcome: { kind: "unavailable" } });
      return id;
    }
    const deadlineMs = nowMs + this.deadlineMs;
    const pending: PendingRead = { name, range, deadlineMs, to: null, askAtMs: nowMs };
    this.reads.set(id, pending);
    this.wakeMs = Math.min(this.wakeMs, deadlineMs);
    this.askRead(id, pending, nowMs);
    return id;
  }

  /** Begins to watch a room, or asks again for its answer. The answer comes as an effect. */
  watch(name: RoomName, nowMs: number): number {
    const id = this.newId();
    const key = keyOf(name);
    let watch = this.watches.get(key);
    if (watch === undefined) {
      if (this.watches.size >= watchesMax) {
        this.effects.push({ kind: "watched", id, name, answer: { code: "busy" } });
        return id;
      }
      watch = { name, waiting: [], askedId: null, live: false, askAtMs: nowMs };
      this.watches.set(key, watch);
    }
    const deadlineMs = nowMs + this.deadlineMs;
    watch.waiting.push({ id, deadlineMs });
    this.wakeMs = Math.min(this.wakeMs, deadlineMs);
    if (watch.askedId === null || watch.live) this.askWatch(key, watch, nowMs);
    return id;
  }

  /** Ends a watch; calls that still wait are answered not_ready. */
  unwatch(name: RoomName): void {
    const key = keyOf(name);
    const watch = this.watches.get(key);
    if (watch === undefined) return;
    this.forget(key, watch, { code: "not_ready" });
    if (this.primary === null) return;
    this.effects.push({ kind: "send", to: this.primary, message: { kind: "unwatch", name } });
  }

  /**
   * Where to watch and read from now on. `lost`: a connection that closed, whose reads are asked
   * again. Call it at every change; a reconnect of the same primary comes as null first.
   */
  onReplicas(
    primary: ReplicaIndex | null,
    readable: ReplicaIndex | null,
    lost: ReplicaIndex | null,
    nowMs: number,
  ): void {
    this.readable = readable;
    for (const [id, pending] of this.reads) {
      if (pending.to === lost) pending.to = null;
      if (pending.to === null) this.askRead(id, pending, nowMs);
    }
    if (primary === this.primary) return;
    this.primary = primary;
    this.asked.clear();
    for (const [key, watch] of this.watches) {
      watch.live = false;
      watch.askedId = null;
      this.askWatch(key, watch, nowMs);
    }
  }

  /** A frame from a replica. */
  onMessage(from: ReplicaIndex, message: ServerMessage, nowMs: number): void {
    if (message.kind === "read_reply") this.onReadReply(message, nowMs);
    else if (message.kind === "watched" && from === this.primary) {
      this.onWatched(message.id, message.answer, nowMs);
    } else if (message.kind === "entries" && from === this.primary) {
      if (!this.watches.has(keyOf(message.name))) return;
      this.effects.push({ kind: "entries", name: message.name, entries: message.entries });
    }
  }

  /** Time has come to {@link wakeAtMs}; any other moment is fine too. */
  tick(nowMs: number): void {
    if (nowMs < this.wakeMs) return;
    this.wakeMs = Number.POSITIVE_INFINITY;
    for (const [id, pending] of this.reads) {
      if (pending.deadlineMs <= nowMs) {
        this.reads.delete(id);
        this.effects.push({ kind: "read", id, outcome: { kind: "unavailable" } });
        continue;
      }
      if (pending.askAtMs <= nowMs) this.askRead(id, pending, nowMs);
      this.wakeMs = Math.min(this.wakeMs, pending.deadlineMs, pending.askAtMs);
    }
    for (const [key, watch] of this.watches) {
      this.expire(watch, nowMs);
      if ((!watch.live || watch.askedId !== null) && this.primary !== null) {
        if (watch.askAtMs <= nowMs) this.askWatch(key, watch, nowMs);
        this.wakeMs = Math.min(this.wakeMs, watch.askAtMs);
      }
      for (const call of watch.waiting) this.wakeMs = Math.min(this.wakeMs, call.deadlineMs);
    }
  }

  private expire(watch: Watch, nowMs: number): void {
    if (watch.waiting.length === 0) return;
    const late = watch.waiting.filter((call) => call.deadlineMs <= nowMs);
    watch.waiting = watch.waiting.filter((call) => call.deadlineMs > nowMs);
    const answer: RoomAnswer = { code: "not_ready" };
    for (const { id } of late) {
      this.effects.push({ kind: "watched", id, name: watch.name, answer });
    }
  }

  private onReadReply(
    message: ServerMessage & { readonly kind: "read_reply" },
    nowMs: number,
  ): void {
    const pending = this.reads.get(message.id);
    if (pending === undefined) return;
    const { answer, entries } = message;
    if (answer.code === "busy" || answer.code === "not_ready") {
      pending.askAtMs = nowMs + retryMs;
      this.wakeMs = Math.min(this.wakeMs, pending.askAtMs);
      return;
    }
    this.reads.delete(message.id);
    this.effects.push({ kind: "read", id: message.id, outcome: { kind: "ok", answer, entries } });
  }

  private onWatched(id: number, answer: RoomAnswer, nowMs: number): void {
    const key = this.asked.get(id);
    const watch = key === undefined ? undefined : this.watches.get(key);
    this.asked.delete(id);
    if (key === undefined || watch?.askedId !== id) return;
    watch.askedId = null;
    if (answer.code === "busy" || answer.code === "not_ready") {
      watch.live = false;
      watch.askAtMs = nowMs + retryMs;
      this.wakeMs = Math.min(this.wakeMs, watch.askAtMs);
    } else if (answer.code === "ok") {
      watch.live = true;
      const calls = watch.waiting;
      watch.waiting = [];
      const { name } = watch;
      for (const call of calls) {
        this.effects.push({ kind: "watched", id: call.id, name, answer });
      }
      if (calls.length === 0) this.effects.push({ kind: "watched", id: null, name, answer });
    } else {
      this.forget(key, watch, answer);
    }
  }

  private forget(key: string, watch: Watch, answer: RoomAnswer): void {
    const { name } = watch;
    this.watches.delete(key);
    if (watch.askedId !== null) this.asked.delete(watch.askedId);
    for (const { id } of watch.waiting) this.effects.push({ kind: "watched", id, name, answer });
    if (watch.waiting.length > 0 || answer.code === "not_ready") return;
    this.effects.push({ kind: "watched", id: null, name, answer });
  }

  private askRead(id: number, pending: PendingRead, nowMs: number): void {
    pending.to = this.readable;
    pending.askAtMs = nowMs + this.resendMs;
    if (pending.to === null) return;
    const { name, range } = pending;
    this.effects.push({ kind: "send", to: pending.to, message: { kind: "read", id, name, range } });
    this.wakeMs = Math.min(this.wakeMs, pending.askAtMs);
  }

  private askWatch(key: string, watch: Watch, nowMs: number): void {
    if (this.primary === null) return;
    const id = this.newId();
    if (watch.askedId !== null) this.asked.delete(watch.askedId);
    watch.askedId = id;
    watch.askAtMs = nowMs + this.resendMs;
    this.asked.set(id, key);
    const message: ClientMessage = { kind: "watch", id, name: watch.name };
    this.effects.push({ kind: "send", to: this.primary, message });
    this.wakeMs = Math.min(this.wakeMs, watch.askAtMs);
  }

  private newId(): number {
    const id = this.idNext;
    this.idNext = id === 0xffff_ffff ? 1 : id + 1;
    return id;
  }
}

function keyOf(name: RoomName): string {
  return `${name.tenant}\u0000${name.room}`;
}
