import { assert } from "#replica/base/assert.ts";
import { BoundedMap } from "#replica/base/bounded-map.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { joinedFrames } from "./frame-encoding.ts";
import type { FrameEncoding } from "./frame-encoding.ts";
import { RecentEntries, recentCharsMax, recentEntriesMax } from "./recent-entries.ts";
import type { Subscription } from "./subscription.ts";

/** Entries held beyond a hole, at most; more are read again. */
const heldEntriesMax = 1024;

/** An entry ready to be sent. */
export interface FeedEntry {
  readonly seq: number;
  readonly members: string;
}

/** A page that a read gave, or null when the shard did not answer. */
export type FeedPage = {
  readonly floor: number;
  readonly head: number;
  readonly entries: readonly FeedEntry[];
} | null;

/**
 * One followed room in this process: its dense stream of entries, and who gets it. Entries may come
 * twice, late and with holes; they leave once, in order.
 */
export class RoomFeed {
  readonly name: RoomName;
  /** Stands for the room in frames of this process. */
  readonly rid: number;
  open = false;
  epoch = 0;
  floor = 0;
  /** Every entry up to here has come in; `recent.last`. */
  head = 0;
  /** Every entry up to here was given to the live subscribers. */
  flushed = 0;
  /** The highest seq that is known to be committed. */
  known = 0;
  readonly recent = new RecentEntries();
  readonly live = new Set<Subscription>();
  readonly catching = new Set<Subscription>();
  readonly waiting = new Set<Subscription>();
  /** A read of this room is under way. */
  reading = false;
  /** Not before this time is the next watch or read tried. */
  retryMs = 0;
  flushedMs = Number.NEGATIVE_INFINITY;
  /** Announcements of the head already made since the last event. */
  announced = 0;
  eventMs = 0;
  /** Since when nobody has followed it; Infinity = somebody does. */
  idleMs = Number.POSITIVE_INFINITY;
  /** Characters of the entries that wait: they are flushed before `recent` forgets them. */
  private pendingChars = 0;
  private readonly held = new BoundedMap<number, string>(heldEntriesMax);

  /** `rid`: unique among the rooms of this process. */
  constructor(name: RoomName, rid: number) {
    this.name = name;
    this.rid = rid;
  }

  /** The room's watch is answered: from now on entries come by themselves. */
  start(epoch: number, head: number, floor: number): void {
    assert(!this.open, "EDF-03: a room is opened once");
    this.open = true;
    this.epoch = epoch;
    this.floor = floor;
    this.head = head;
    this.flushed = head;
    this.known = head;
    this.recent.reset(head + 1);
  }

  /** Takes an entry that the shard pushed or a read gave; anything already known is ignored. */
  accept(entry: FeedEntry): void {
    if (entry.seq <= this.head) return;
    this.known = Math.max(this.known, entry.seq);
    if (entry.seq !== this.head + 1) {
      this.held.trySet(entry.seq, entry.members);
      return;
    }
    this.append(entry.seq, entry.members);
    while (true) {
      const members = this.held.get(this.head + 1);
      if (members === undefined) break;
      this.held.delete(this.head + 1);
      this.append(this.head + 1, members);
    }
    if (this.held.count > 0 && this.known === this.head) this.held.clear();
  }

  private append(seq: number, members: string): void {
    this.recent.append(seq, members);
    this.head = seq;
    this.pendingChars += members.length;
    const count = this.head - this.flushed;
    if (count >= recentEntriesMax / 2 || this.pendingChars > recentCharsMax / 4) this.flush();
  }

  /** Entries of the past are gone for ever: goes on at `seq`, and says so to the live ones. */
  jump(seq: number): void {
    assert(seq > this.head, "EDF-04: a feed only moves forward");
    this.flush();
    for (const subscription of this.live) {
      if (subscription.state === "live") this.pushGap(subscription, this.head + 1, seq - 1);
    }
    this.head = seq - 1;
    this.flushed = this.head;
    this.recent.reset(seq);
  }

  /** True when entries wait to be given to the live subscribers. */
  get pending(): boolean {
    return this.flushed < this.head;
  }

  /** Gives what waits to all live subscribers: one buffer for all of the same encoding. */
  flush(): number {
    const from = this.flushed + 1;
    if (from > this.head) return 0;
    let socket: Uint8Array | null = null;
    let sse: Uint8Array | null = null;
    for (const subscription of this.live) {
      const { outbox } = subscription;
      if (subscription.state !== "live") continue;
      if (outbox.encoding.name === "socket") socket ??= this.frames(outbox.encoding, from);
      else sse ??= this.frames(outbox.encoding, from);
      const bytes = outbox.encoding.name === "socket" ? socket : sse;
      if (bytes !== null) outbox.pushEvents(bytes, subscription, from);
    }
    const count = this.head - this.flushed;
    this.flushed = this.head;
    this.pendingChars = 0;
    return count;
  }

  /** Frames of the entries at hand from `from` to the head. */
  frames(encoding: FrameEncoding, from: number): Uint8Array {
    const frames: Uint8Array[] = [];
    for (let seq = from; seq <= this.head; seq += 1) {
      frames.push(encoding.event(this.rid, this.epoch, seq, this.recent.at(seq)));
    }
    return joinedFrames(frames);
  }

  /** Makes a subscriber live: all that it lacks is at hand. The feed is flushed. */
  join(subscription: Subscription): void {
    assert(!this.pending, "EDF-05: a subscriber joins between two flushes");
    assert(subscription.next >= this.recent.first, "EDF-06: history and live events meet");
    this.catching.delete(subscription);
    this.live.add(subscription);
    subscription.state = "live";
    if (subscription.next > this.head) return;
    const bytes = this.frames(subscription.outbox.encoding, subscription.next);
    subscription.outbox.pushEvents(bytes, subscription, subscription.next);
  }

  /** Tells one subscriber of a hole that it has to read itself. */
  pushGap(subscription: Subscription, from: number, to: number): void {
    if (from > to) return;
    subscription.outbox.push(subscription.outbox.encoding.gap(this.rid, from, to));
  }

  /** Subscribers of any state. */
  get subscribersCount(): number {
    return this.live.size + this.catching.size + this.waiting.size;
  }
}
