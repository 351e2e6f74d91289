import { assert } from "#replica/base/assert.ts";
import { BoundedMap } from "#replica/base/bounded-map.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { Viewer } from "#replica/wire/visibility.ts";
import type { EntryMark } from "./entry-mark.ts";
import { changesSight } from "./entry-mark.ts";
import type { FrameEncoding } from "./frame-encoding.ts";
import { sightKey, viewFrames } from "./view-frames.ts";
import { RecentEntries, recentCharsMax, recentEntriesMax } from "./recent-entries.ts";
import type { Subscription } from "./subscription.ts";

/** Entries held beyond a hole, at most; more are read again. */
const heldEntriesMax = 1024;

/** An entry ready to be sent. */
export interface FeedEntry {
  readonly seq: number;
  readonly members: string;
  /** Null for a message that everybody sees. */
  readonly mark: EntryMark | null;
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
  /** When a checkpoint was last asked for. */
  checkpointMs = Number.NEGATIVE_INFINITY;
  /** Since when nobody has followed it; Infinity = somebody does. */
  idleMs = Number.POSITIVE_INFINITY;
  /** Characters of the entries that wait: they are flushed before `recent` forgets them. */
  private pendingChars = 0;
  private rules = new Set<string>();
  private allRules = false;
  private readonly held = new BoundedMap<number, FeedEntry>(heldEntriesMax);

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
      this.held.trySet(entry.seq, entry);
      return;
    }
    this.append(entry);
    while (true) {
      const next = this.held.get(this.head + 1);
      if (next === undefined) break;
      this.held.delete(this.head + 1);
      this.append(next);
    }
    if (this.held.count > 0 && this.known === this.head) this.held.clear();
  }

  /** Users whose sight may have changed since the last call; null = all. */
  takeRules(): ReadonlySet<string> | null {
    const rules = this.allRules ? null : this.rules;
    if (this.allRules || this.rules.size > 0) this.rules = new Set();
    this.allRules = false;
    return rules;
  }

  private append({ seq, members, mark }: FeedEntry): void {
    this.recent.append(seq, members, mark);
    if (mark !== null && changesSight(mark)) {
      if (mark.about === null) this.allRules = true;
      else this.rules.add(mark.about);
    }
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

  /** Gives what waits to all live subscribers: one buffer for all who see the same. */
  flush(): number {
    const from = this.flushed + 1;
    if (from > this.head) return 0;
    const plain = this.recent.plainFrom(from);
    const made = new Map<string, Uint8Array>();
    for (const subscription of this.live) {
      const { outbox, viewer } = subscription;
      if (subscription.state !== "live" || viewer === null) continue;
      const all = plain && viewer.fromSeq <= from;
      const sight = all ? "" : sightKey(this.recent, viewer, from, this.head);
      const key = outbox.encoding.name + sight;
      const bytes = made.get(key) ?? this.frames(outbox.encoding, viewer, from);
      made.set(key, bytes);
      outbox.pushEvents(bytes, subscription, from);
    }
    const count = this.head - this.flushed;
    this.flushed = this.head;
    this.pendingChars = 0;
    return count;
  }

  /** Frames of the entries at hand from `from` to the head, as the viewer sees them. */
  frames(encoding: FrameEncoding, viewer: Viewer, from: number): Uint8Array {
    const entries: FeedEntry[] = [];
    for (let seq = from; seq <= this.head; seq += 1) {
      entries.push({ seq, members: this.recent.at(seq), mark: this.recent.mark(seq) });
    }
    return viewFrames({ encoding, rid: this.rid, epoch: this.epoch, viewer }, entries);
  }

  /** Makes a subscriber live: all that it lacks is at hand. The feed is flushed. */
  join(subscription: Subscription): void {
    assert(!this.pending, "EDF-05: a subscriber joins between two flushes");
    assert(subscription.next >= this.recent.first, "EDF-06: history and live events meet");
    this.catching.delete(subscription);
    this.live.add(subscription);
    subscription.state = "live";
    const { outbox, viewer, next } = subscription;
    if (next > this.head || viewer === null) return;
    outbox.pushEvents(this.frames(outbox.encoding, viewer, next), subscription, next);
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
