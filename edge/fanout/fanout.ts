import { recoverEntriesMax } from "#edge/api/limits.ts";
import type { ErrorName } from "#edge/api/errors.ts";
import { assert } from "#replica/base/assert.ts";
import { BoundedMap } from "#replica/base/bounded-map.ts";
import type { RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import { threadOf } from "#replica/wire/room-names.ts";
import type { RoomStanding } from "#replica/wire/room-standing.ts";
import { Catching } from "./catching.ts";
import { Checkpoints, pushedCheckpoint } from "./checkpoints.ts";
import type { PushedCheckpoint } from "./checkpoints.ts";
import type { Outbox } from "./outbox.ts";
import { RoomFeed } from "./room-feed.ts";
import type { FeedEntry, FeedPage } from "./room-feed.ts";
import { RoomTimes } from "./room-times.ts";
import { serverViewer } from "./subscription.ts";
import type { Since, Subscription } from "./subscription.ts";

/** What the shell has to do for the fan-out, in order. */
export type FanoutEffect =
  /** Ask the room's shard for its position and for all later entries; answer by `watched`. */
  | { readonly kind: "watch"; readonly name: RoomName }
  | { readonly kind: "unwatch"; readonly name: RoomName }
  /** Ask what the user is in the room or thread; answer by `standing`. */
  | {
      readonly kind: "standing";
      readonly outbox: Outbox;
      readonly name: RoomName;
      readonly user: string;
    }
  /** Read entries after a seq; answer by `page`. */
  | { readonly kind: "read"; readonly name: RoomName; readonly after: number }
  /** Ask for the newest checkpoint of the room's shard; answer by `checkpoint`. */
  | { readonly kind: "checkpoint"; readonly name: RoomName }
  /** The attach frame with this id succeeded; the frame `attached` is in the outbox already. */
  | {
      readonly kind: "attached";
      readonly outbox: Outbox;
      readonly id: string;
      readonly room: string;
    }
  /** The attach frame with this id failed, or (empty id) the room was detached. */
  | {
      readonly kind: "refused";
      readonly outbox: Outbox;
      readonly id: string;
      readonly room: string;
      readonly error: ErrorName;
    };

/** What a client asks when it attaches. */
export interface SubscribeRequest {
  readonly outbox: Outbox;
  readonly id: string;
  readonly name: RoomName;
  /** Whose sight counts; null = the tenant's server. */
  readonly user: string | null;
  readonly since: Since | null;
  readonly tail: number;
}

/** Time until an attach whose room cannot be opened is refused. */
export const openDeadlineMs = 5_000;
/** Pause between two tries of a watch or read. */
export const retryPauseMs = 150;

/** Counters for metrics; the shell reads them. */
export interface FanoutCounts {
  events: number;
  gaps: number;
  recovered: number;
  unrecovered: number;
  heads: number;
  checkpoints: number;
}

function youOf({ role, marker, mutedUntilUs }: RoomStanding) {
  return { role, marker, ...(mutedUntilUs > 0 ? { muted_until: mutedUntilUs } : {}) };
}

function keyOf(name: RoomName): string {
  return `${name.tenant}\u0000${name.room}`;
}

/**
 * Who follows which room in this process. Subscribe first (the watch), then read what came before,
 * then splice by seq: a client gets each entry once, in order, or one gap that names what it lacks.
 * Pure: calls in, effects and outboxes out; times are monotonic milliseconds.
 */
export class Fanout {
  readonly counts: FanoutCounts = {
    events: 0,
    gaps: 0,
    recovered: 0,
    unrecovered: 0,
    heads: 0,
    checkpoints: 0,
  };
  private readonly rooms: BoundedMap<string, RoomFeed>;
  private readonly ridsFree: number[] = [];
  private ridNext = 1;
  private effects: FanoutEffect[] = [];
  private readonly followed = new Map<Outbox, Map<string, Subscription>>();
  private readonly dirty = new Set<Outbox>();
  private readonly times: RoomTimes;
  private readonly catching: Catching;
  private readonly checkpoints = new Checkpoints();

  /** `roomsMax`: rooms followed at once, at most. */
  constructor(roomsMax: number) {
    this.rooms = new BoundedMap(roomsMax);
    this.times = new RoomTimes();
    this.catching = new Catching(
      (feed, after) => this.effects.push({ kind: "read", name: feed.name, after }),
      (outbox) => this.dirty.add(outbox),
    );
  }

  /** Effects since the last drain, in order. */
  drain(): readonly FanoutEffect[] {
    const drained = this.effects;
    this.effects = [];
    return drained;
  }

  /** Outboxes that may have got something since the last call. */
  takeDirty(): readonly Outbox[] {
    if (this.dirty.size === 0) return [];
    const outboxes = [...this.dirty];
    this.dirty.clear();
    return outboxes;
  }

  /** Rooms followed now. */
  get roomsCount(): number {
    return this.rooms.count;
  }

  /** Names of the rooms followed now. */
  names(): readonly RoomName[] {
    return [...this.rooms.values()].map((feed) => feed.name);
  }

  /** Starts to follow a room for a client; a room that it follows already is followed anew. */
  subscribe(request: SubscribeRequest, nowMs: number): void {
    const { outbox, name, id } = request;
    this.unsubscribe(outbox, name, nowMs);
    const feed = this.feedOf(name);
    if (feed === null) {
      this.refuse(outbox, id, name.room, "RATE_LIMITED");
      return;
    }
    const subscription: Subscription = {
      outbox,
      name,
      id,
      since: request.since,
      tail: request.tail,
      startedMs: nowMs,
      user: request.user,
      viewer: request.user === null ? serverViewer : null,
      standing: null,
      state: "waiting",
      next: 0,
      checkpointSize: -1,
      pages: 0,
    };
    const followed = this.followed.get(outbox) ?? new Map<string, Subscription>();
    this.followed.set(outbox, followed.set(keyOf(name), subscription));
    feed.idleMs = Number.POSITIVE_INFINITY;
    feed.waiting.add(subscription);
    if (request.user !== null) this.askStanding(subscription, request.user);
    if (feed.open) this.begin(feed, subscription, nowMs);
    else {
      this.times.opening.add(feed);
      this.open(feed, nowMs);
    }
  }

  /** Stops to follow; nothing of the room is queued for this client any more. */
  unsubscribe(outbox: Outbox, name: RoomName, nowMs: number): void {
    const followed = this.followed.get(outbox);
    const subscription = followed?.get(keyOf(name));
    const feed = this.rooms.get(keyOf(name));
    if (subscription === undefined || feed === undefined) return;
    followed?.delete(keyOf(name));
    if (followed?.size === 0) this.followed.delete(outbox);
    subscription.state = "ended";
    feed.live.delete(subscription);
    feed.catching.delete(subscription);
    feed.waiting.delete(subscription);
    if (feed.subscribersCount > 0) return;
    feed.idleMs = nowMs;
    this.times.idle.add(feed);
  }

  /** The client is gone. */
  leave(outbox: Outbox, nowMs: number): void {
    for (const subscription of [...(this.followed.get(outbox)?.values() ?? [])]) {
      this.unsubscribe(outbox, subscription.name, nowMs);
    }
    this.dirty.delete(outbox);
  }

  /** A watch was answered, or made again after a reconnect. Null: no answer. */
  watched(name: RoomName, answer: RoomAnswer | null, nowMs: number): void {
    const feed = this.rooms.get(keyOf(name));
    if (feed === undefined) return;
    if (!feed.open) feed.reading = false;
    if (answer?.code === "no_room" && !feed.open) this.dropFeed(feed, "NO_ROOM", nowMs);
    if (answer?.code !== "ok") {
      feed.retryMs = nowMs + retryPauseMs;
      return;
    }
    if (feed.open && feed.epoch !== answer.epoch) {
      this.dropFeed(feed, "EPOCH_CHANGED", nowMs);
      return;
    }
    if (feed.open) {
      feed.known = Math.max(feed.known, answer.head);
      feed.floor = Math.max(feed.floor, answer.floor);
      this.advance(feed, nowMs);
      return;
    }
    this.times.opening.delete(feed);
    feed.start(answer.epoch, answer.head, answer.floor);
    for (const subscription of [...feed.waiting]) this.begin(feed, subscription, nowMs);
  }

  /** The answer to a `standing` effect; null = the shard did not say. */
  standing(outbox: Outbox, name: RoomName, answer: RoomStanding | null, nowMs: number): void {
    const subscription = this.followed.get(outbox)?.get(keyOf(name));
    const feed = this.rooms.get(keyOf(name));
    if (subscription === undefined || feed === undefined) return;
    const waiting = subscription.state === "waiting";
    const { user } = subscription;
    if (answer === null || user === null) {
      // A recheck that fails changes nothing; the next rule or refresh asks again.
      if (waiting) this.turnAway(subscription, "NO_LEADER", nowMs);
      return;
    }
    if (!answer.mayRead) {
      this.turnAway(subscription, answer.bannedUntilUs > 0 ? "BANNED" : "DENIED", nowMs);
      return;
    }
    subscription.standing = answer;
    subscription.viewer = { user, staff: answer.staff, fromSeq: answer.fromSeq };
    if (waiting && feed.open) this.begin(feed, subscription, nowMs);
  }

  /** Asks anew what this client may see of a room. */
  recheck(outbox: Outbox, name: RoomName): void {
    const subscription = this.followed.get(outbox)?.get(keyOf(name));
    if (subscription?.user != null) this.askStanding(subscription, subscription.user);
  }

  /** Committed entries of a room, as the shard pushed them. */
  entries(name: RoomName, entries: readonly FeedEntry[], nowMs: number): void {
    const feed = this.rooms.get(keyOf(name));
    if (feed === undefined || !feed.open) return;
    const flushed = feed.flushed;
    for (const entry of entries) feed.accept(entry);
    this.catching.advance(feed, nowMs);
    this.settle(feed, flushed, nowMs);
  }

  /** The answer to a `read` effect. */
  page(name: RoomName, after: number, page: FeedPage, nowMs: number): void {
    const feed = this.rooms.get(keyOf(name));
    if (feed === undefined || !feed.open) return;
    const flushed = feed.flushed;
    this.catching.page(feed, after, page, nowMs);
    this.settle(feed, flushed, nowMs);
  }

  /** A passing sign for the live subscribers but its sender; slow ones do not get it. */
  signal(name: RoomName, kind: string, from: string, sender: Outbox): void {
    const feed = this.rooms.get(keyOf(name));
    if (feed === undefined) return;
    for (const { outbox, state } of feed.live) {
      if (outbox === sender || state !== "live" || outbox.bytes > 0) continue;
      const bytes = outbox.encoding.signal(feed.rid, kind, from);
      if (bytes === null) continue;
      outbox.push(bytes);
      this.dirty.add(outbox);
    }
  }

  /** The answer to a `checkpoint` effect: a signed note; null = the shard has none to give. */
  checkpoint(name: RoomName, note: string | null, nowMs: number): void {
    const feed = this.rooms.get(keyOf(name));
    if (feed === undefined || feed.live.size === 0) return;
    const facts = note === null ? null : pushedCheckpoint(note);
    if (facts === null) this.checkpoints.retry(feed, nowMs);
    else this.counts.checkpoints += this.checkpoints.push(feed, facts, this.dirty, nowMs);
  }

  /** A checkpoint for one client alone: it proves what that client presented. */
  extended(outbox: Outbox, name: RoomName, checkpoint: PushedCheckpoint): void {
    const feed = this.rooms.get(keyOf(name));
    const subscription = this.followed.get(outbox)?.get(keyOf(name));
    if (feed === undefined || subscription === undefined) return;
    if (subscription.state === "waiting") return;
    const bytes = outbox.encoding.checkpoint(feed.rid, checkpoint);
    if (bytes === null) return;
    subscription.checkpointSize = Math.max(subscription.checkpointSize, checkpoint.size);
    this.counts.checkpoints += 1;
    outbox.push(bytes);
    this.dirty.add(outbox);
  }

  /** The outbox was emptied: rooms in gap mode get their one gap and are live again. */
  drained(outbox: Outbox, nowMs: number): void {
    outbox.strained = false;
    for (const [key, subscription] of this.followed.get(outbox) ?? []) {
      const feed = this.rooms.get(key);
      if (feed === undefined) continue;
      if (subscription.state === "lagging") {
        this.flush(feed, nowMs);
        feed.pushGap(subscription, subscription.next, feed.head);
        subscription.state = "live";
        this.counts.gaps += 1;
        this.dirty.add(outbox);
      }
      if (subscription.state === "catching") this.advance(feed, nowMs);
    }
  }

  /** Everything that time alone causes. */
  tick(nowMs: number): void {
    for (const feed of this.times.flushesDue(nowMs)) this.flush(feed, nowMs);
    for (const feed of this.times.announcementsDue(nowMs)) this.announce(feed);
    for (const feed of this.times.opening) this.open(feed, nowMs);
    for (const feed of this.catching.retriesDue(nowMs)) this.advance(feed, nowMs);
    for (const { name } of this.checkpoints.dueNow(nowMs)) {
      this.effects.push({ kind: "checkpoint", name });
    }
    for (const feed of this.times.closingDue(nowMs)) this.close(feed);
  }

  /** When `tick` is wanted next; Infinity = not before another call. */
  deadlineMs(nowMs: number): number {
    if (this.effects.length > 0) return nowMs;
    return Math.min(
      this.times.deadlineMs(nowMs),
      this.catching.deadlineMs(),
      this.checkpoints.deadlineMs(nowMs),
    );
  }

  private feedOf(name: RoomName): RoomFeed | null {
    const found = this.rooms.get(keyOf(name));
    if (found !== undefined) return found;
    const feed = new RoomFeed(name, this.ridsFree.pop() ?? this.ridNext);
    if (!this.rooms.trySet(keyOf(name), feed)) {
      if (feed.rid !== this.ridNext) this.ridsFree.push(feed.rid);
      return null;
    }
    if (feed.rid === this.ridNext) this.ridNext += 1;
    return feed;
  }

  private open(feed: RoomFeed, nowMs: number): void {
    for (const subscription of [...feed.waiting]) {
      if (nowMs - subscription.startedMs < openDeadlineMs) continue;
      this.unsubscribe(subscription.outbox, feed.name, nowMs);
      this.refuse(subscription.outbox, subscription.id, feed.name.room, "NO_LEADER");
    }
    if (feed.reading || nowMs < feed.retryMs || feed.waiting.size === 0) return;
    feed.reading = true;
    this.effects.push({ kind: "watch", name: feed.name });
  }

  private askStanding({ outbox, name }: Subscription, user: string): void {
    this.effects.push({ kind: "standing", outbox, name, user });
  }

  /** Rules passed: those whose sight they may change are asked about, in threads too. */
  private applyRules(feed: RoomFeed): void {
    const users = feed.takeRules();
    if (users?.size === 0) return;
    const { tenant, room } = feed.name;
    for (const each of this.rooms.values()) {
      const thread = each.name.tenant === tenant && each.name.room.startsWith(`${room}/`);
      if (each !== feed && !thread) continue;
      for (const subscription of [...each.live, ...each.catching, ...each.waiting]) {
        const { user } = subscription;
        if (user === null || (users !== null && !users.has(user))) continue;
        this.askStanding(subscription, user);
      }
    }
  }

  private turnAway(subscription: Subscription, error: ErrorName, nowMs: number): void {
    const { outbox, name, state } = subscription;
    const id = state === "waiting" ? subscription.id : "";
    this.unsubscribe(outbox, name, nowMs);
    this.refuse(outbox, id, name.room, error);
  }

  private begin(feed: RoomFeed, subscription: Subscription, nowMs: number): void {
    if (subscription.viewer === null) return;
    const { outbox, since, tail, id, standing } = subscription;
    this.flush(feed, nowMs);
    feed.waiting.delete(subscription);
    const recovered =
      since !== null &&
      since.epoch === feed.epoch &&
      since.seq <= feed.head &&
      since.seq + 1 >= feed.floor &&
      feed.head - since.seq <= recoverEntriesMax;
    const first = recovered ? since.seq + 1 : Math.max(feed.head - tail + 1, feed.floor, 1);
    subscription.next = Math.min(first, feed.head + 1);
    if (since !== null) this.counts[recovered ? "recovered" : "unrecovered"] += 1;
    const thread = threadOf(feed.name.room);
    outbox.push(
      outbox.encoding.attached({
        id,
        room: thread?.room ?? feed.name.room,
        ...(thread === null ? {} : { thread: thread.root }),
        rid: feed.rid,
        epoch: feed.epoch,
        head: feed.head,
        floor: feed.floor,
        next: subscription.next,
        recovered,
        ...(standing === null ? {} : { you: youOf(standing) }),
      }),
    );
    this.effects.push({ kind: "attached", outbox, id, room: feed.name.room });
    subscription.state = "catching";
    feed.catching.add(subscription);
    this.checkpoints.want(feed, nowMs);
    this.advance(feed, nowMs);
    this.dirty.add(outbox);
  }

  private advance(feed: RoomFeed, nowMs: number): void {
    const flushed = feed.flushed;
    this.catching.advance(feed, nowMs);
    this.settle(feed, flushed, nowMs);
  }

  /** After entries came in: notes what went out by itself, and sends the rest now or soon. */
  private settle(feed: RoomFeed, flushedBefore: number, nowMs: number): void {
    if (feed.flushed !== flushedBefore) this.noteFlush(feed, feed.flushed - flushedBefore, nowMs);
    this.applyRules(feed);
    if (!feed.pending) return;
    if (this.times.quiet(feed, nowMs)) this.flush(feed, nowMs);
    else this.times.flushing.add(feed);
  }

  private flush(feed: RoomFeed, nowMs: number): void {
    this.times.flushing.delete(feed);
    const count = feed.flush();
    if (count > 0) this.noteFlush(feed, count, nowMs);
  }

  private noteFlush(feed: RoomFeed, count: number, nowMs: number): void {
    this.counts.events += count * feed.live.size;
    this.times.flushed(feed, nowMs);
    if (feed.live.size > 0) this.checkpoints.want(feed, nowMs);
    for (const { outbox } of feed.live) this.dirty.add(outbox);
  }

  private announce(feed: RoomFeed): void {
    if (feed.head === 0) return;
    for (const { outbox, state } of feed.live) {
      const bytes = state === "live" ? outbox.encoding.head(feed.rid, feed.head) : null;
      if (bytes === null) continue;
      outbox.push(bytes);
      this.counts.heads += 1;
      this.dirty.add(outbox);
    }
  }

  private refuse(outbox: Outbox, id: string, room: string, error: ErrorName): void {
    this.effects.push({ kind: "refused", outbox, id, room, error });
  }

  private dropFeed(feed: RoomFeed, error: ErrorName, nowMs: number): void {
    for (const subscription of [...feed.waiting, ...feed.catching, ...feed.live]) {
      const id = subscription.state === "waiting" ? subscription.id : "";
      this.unsubscribe(subscription.outbox, feed.name, nowMs);
      this.refuse(subscription.outbox, id, feed.name.room, error);
    }
    this.close(feed);
  }

  private close(feed: RoomFeed): void {
    assert(feed.subscribersCount === 0, "EDF-07: a room closes when nobody follows it");
    this.rooms.delete(keyOf(feed.name));
    this.times.forget(feed);
    this.catching.forget(feed);
    this.checkpoints.forget(feed);
    this.ridsFree.push(feed.rid);
    this.effects.push({ kind: "unwatch", name: feed.name });
  }
}
