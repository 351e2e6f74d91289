import { headAnnounceMs } from "#edge/api/limits.ts";
import type { RoomFeed } from "./room-feed.ts";

/** A room that had a flush within this time is busy: its next events wait for company. */
export const coalesceMs = 10;
/** A room that nobody follows is kept this long. */
export const lingerMs = 30_000;
/** How often rooms are looked at for announcements, opening and closing. */
const sweepMs = 50;

/** Which rooms want something to happen at a later time. */
export class RoomTimes {
  /** Rooms with events that wait for company. */
  readonly flushing = new Set<RoomFeed>();
  /** Rooms whose watch is not answered. */
  readonly opening = new Set<RoomFeed>();
  /** Rooms that nobody follows. */
  readonly idle = new Set<RoomFeed>();
  private readonly announcing = new Set<RoomFeed>();
  private sweptMs = Number.NEGATIVE_INFINITY;

  /** True when a room's events go out at once. */
  quiet(feed: RoomFeed, nowMs: number): boolean {
    return nowMs - feed.flushedMs >= coalesceMs;
  }

  /** A room's events have gone out: its head will be announced. */
  flushed(feed: RoomFeed, nowMs: number): void {
    feed.flushedMs = nowMs;
    feed.eventMs = nowMs;
    feed.announced = 0;
    this.announcing.add(feed);
  }

  /** Rooms whose events have waited long enough. */
  flushesDue(nowMs: number): readonly RoomFeed[] {
    return [...this.flushing].filter((feed) => nowMs - feed.flushedMs >= coalesceMs);
  }

  /** Rooms whose head is to be announced now: 250 ms, 1 s, 5 s, 30 s after their last event. */
  announcementsDue(nowMs: number): readonly RoomFeed[] {
    if (nowMs - this.sweptMs < sweepMs) return [];
    this.sweptMs = nowMs;
    const due: RoomFeed[] = [];
    for (const feed of this.announcing) {
      const afterMs = headAnnounceMs[feed.announced];
      if (afterMs === undefined) this.announcing.delete(feed);
      else if (nowMs - feed.eventMs >= afterMs) {
        feed.announced += 1;
        due.push(feed);
      }
    }
    return due;
  }

  /** Rooms that nobody has followed for a while. */
  closingDue(nowMs: number): readonly RoomFeed[] {
    const due: RoomFeed[] = [];
    for (const feed of this.idle) {
      if (feed.idleMs === Number.POSITIVE_INFINITY) this.idle.delete(feed);
      else if (nowMs - feed.idleMs >= lingerMs) due.push(feed);
    }
    return due;
  }

  /** When the next of all this is due; Infinity = never. */
  deadlineMs(nowMs: number): number {
    let deadline = Number.POSITIVE_INFINITY;
    for (const feed of this.flushing) {
      deadline = Math.min(deadline, feed.flushedMs + coalesceMs);
    }
    if (this.opening.size > 0 || this.announcing.size > 0) {
      deadline = Math.min(deadline, nowMs + sweepMs);
    }
    return this.idle.size > 0 ? Math.min(deadline, nowMs + 1_000) : deadline;
  }

  /** The room is closed. */
  forget(feed: RoomFeed): void {
    for (const rooms of [this.flushing, this.opening, this.idle, this.announcing]) {
      rooms.delete(feed);
    }
  }
}
