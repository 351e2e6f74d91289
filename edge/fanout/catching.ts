import { sees } from "./entry-mark.ts";
import { outboxBytesReady } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import type { FeedEntry, FeedPage, RoomFeed } from "./room-feed.ts";
import { serverViewer } from "./subscription.ts";
import type { Subscription } from "./subscription.ts";
import { viewFrames } from "./view-frames.ts";

/** Pause before a read that failed, or gave nothing, is tried again. */
const pauseMs = 100;
/** Pages read for one subscriber at most; then it gets a gap and reads by itself. */
export const pagesMax = 250;

/**
 * Reading of the past: for holes in a room's own stream first, then for the subscribers that are
 * furthest behind. One read a room at a time serves all that need the same entries.
 */
export class Catching {
  private readonly read: (feed: RoomFeed, after: number) => void;
  private readonly touch: (outbox: Outbox) => void;
  private readonly retries = new Set<RoomFeed>();

  /** `read` asks the shell for entries after a seq; `touch` marks what got something. */
  constructor(read: (feed: RoomFeed, after: number) => void, touch: (outbox: Outbox) => void) {
    this.read = read;
    this.touch = touch;
  }

  /** Joins whoever lacks nothing, and starts the next read when one is needed. */
  advance(feed: RoomFeed, nowMs: number): void {
    if (feed.catching.size > 0) this.joinReady(feed);
    if (feed.reading) return;
    const after = this.wanted(feed);
    if (after === null) {
      this.retries.delete(feed);
      return;
    }
    if (nowMs < feed.retryMs) {
      this.retries.add(feed);
      return;
    }
    this.retries.delete(feed);
    feed.reading = true;
    this.read(feed, after);
  }

  /** A page came. */
  page(feed: RoomFeed, after: number, page: FeedPage, nowMs: number): void {
    feed.reading = false;
    if (page === null) feed.retryMs = nowMs + pauseMs;
    else {
      feed.floor = Math.max(feed.floor, page.floor);
      feed.known = Math.max(feed.known, page.head);
      this.passFloor(feed);
      for (const entry of page.entries) feed.accept(entry);
      this.give(feed, after, page.entries);
      if (page.entries.length === 0 && this.wanted(feed) !== null) feed.retryMs = nowMs + pauseMs;
    }
    this.advance(feed, nowMs);
  }

  /** Rooms whose pause is over. */
  retriesDue(nowMs: number): readonly RoomFeed[] {
    return [...this.retries].filter((feed) => nowMs >= feed.retryMs);
  }

  /** When the next pause is over; Infinity = none. */
  deadlineMs(): number {
    let deadline = Number.POSITIVE_INFINITY;
    for (const feed of this.retries) deadline = Math.min(deadline, feed.retryMs);
    return deadline;
  }

  /** The room is closed. */
  forget(feed: RoomFeed): void {
    this.retries.delete(feed);
  }

  private joinReady(feed: RoomFeed): void {
    const ready = [...feed.catching].filter(
      (subscription) => subscription.next >= feed.recent.first || subscription.pages >= pagesMax,
    );
    if (ready.length === 0) return;
    feed.flush();
    for (const subscription of ready) {
      // A flush may have moved the entries at hand on.
      const late = subscription.next < feed.recent.first;
      if (late && subscription.pages < pagesMax) continue;
      if (late) {
        feed.pushGap(subscription, subscription.next, feed.head);
        subscription.next = feed.head + 1;
      }
      feed.join(subscription);
      this.touch(subscription.outbox);
    }
  }

  /** After which seq entries are needed: null = nothing is. */
  private wanted(feed: RoomFeed): number | null {
    if (feed.known > feed.head) return feed.head;
    let lowest: number | null = null;
    for (const { next, outbox } of feed.catching) {
      if (outbox.bytes > outboxBytesReady) continue;
      lowest = lowest === null ? next : Math.min(lowest, next);
    }
    return lowest === null ? null : lowest - 1;
  }

  /** Entries below the floor are gone: nobody waits for them. */
  private passFloor(feed: RoomFeed): void {
    if (feed.floor > feed.head + 1) feed.jump(feed.floor);
    for (const subscription of feed.catching) {
      if (subscription.next >= feed.floor) continue;
      const { outbox } = subscription;
      outbox.push(outbox.encoding.skip(feed.rid, feed.epoch, feed.floor - 1));
      this.touch(outbox);
      subscription.next = feed.floor;
    }
  }

  private give(feed: RoomFeed, after: number, entries: readonly FeedEntry[]): void {
    const last = entries.at(-1)?.seq ?? 0;
    const made = new Map<string, Uint8Array>();
    for (const subscription of [...feed.catching]) {
      const { next, outbox } = subscription;
      if (next <= after || next > last || outbox.bytes > outboxBytesReady) continue;
      const { encoding } = outbox;
      const viewer = subscription.viewer ?? serverViewer;
      const rest = entries.filter(({ seq }) => seq >= next);
      const sight = rest.map(({ seq, mark }) => (sees(viewer, seq, mark) ? "1" : "0")).join("");
      const key = `${encoding.name} ${next} ${sight}`;
      const view = { encoding, rid: feed.rid, epoch: feed.epoch, viewer };
      const bytes = made.get(key) ?? viewFrames(view, rest);
      made.set(key, bytes);
      subscription.pages += 1;
      subscription.next = last + 1;
      outbox.pushEvents(bytes, subscription, next);
      this.touch(outbox);
      if (lagging(subscription)) {
        feed.catching.delete(subscription);
        feed.live.add(subscription);
      }
    }
  }
}

function lagging(subscription: Subscription): boolean {
  return subscription.state === "lagging";
}
