import { outboxBytesReady } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import type { RoomFeed } from "./room-feed.ts";

/** A room's clients get a signed checkpoint this often at most. */
export const checkpointPauseMs = 10_000;
/** After an entry: the shard signs once a second, and its cosigners need a moment. */
export const checkpointAfterMs = 1_500;
/** Until the shard is asked again, when it had no checkpoint to give. */
export const checkpointRetryMs = 2_000;
/** How often rooms are looked at. */
const sweepMs = 250;
/** Characters of a note at most: three signatures and an origin are below 1,000. */
const noteCharsMax = 4_096;

/** A signed checkpoint of a shard's log, with what it says of that log. */
export interface PushedCheckpoint {
  /** Records of the log. */
  readonly size: number;
  /** Root over them, base64. */
  readonly root: string;
  /** Signed note, as the shard gave it. */
  readonly note: string;
  /** Proof that it extends what the client presented; absent: nothing was. */
  readonly consistency?: string;
}

/** Head of a log that a client says it verified: only a place to prove from. */
export interface PresentedCheckpoint {
  readonly origin: string;
  readonly size: number;
}

/** What a client presents in its hello; null = no checkpoint. Checks no signature. */
export function presentedCheckpoint(text: string): PresentedCheckpoint | null {
  const facts = pushedCheckpoint(text);
  const [origin = ""] = text.split("\n", 1);
  return facts === null || origin === "" ? null : { origin, size: facts.size };
}

/** The checkpoint at the end of a proof of consistency (C2SP tlog-witness), with the proof. */
export function extendingCheckpoint(proof: string): PushedCheckpoint | null {
  const split = proof.indexOf("\n\n");
  const facts = split < 0 ? null : pushedCheckpoint(proof.slice(split + 2));
  return facts === null ? null : { ...facts, consistency: proof };
}

/** What a signed note says (C2SP tlog-checkpoint); null = it is none. Checks no signature. */
export function pushedCheckpoint(note: string): PushedCheckpoint | null {
  if (note.length > noteCharsMax) return null;
  const [, sizeText = "", root = ""] = note.split("\n", 3);
  const size = Number(sizeText);
  const whole = /^(0|[1-9][0-9]{0,15})$/.test(sizeText) && Number.isSafeInteger(size);
  if (!whole || !/^[+/0-9A-Za-z]{43}=$/.test(root)) return null;
  return { size, root, note };
}

/**
 * Which rooms want a checkpoint pushed, and when: some time after an entry or an attach, never more
 * often than every ten seconds a room. Rooms without either cost nothing.
 */
export class Checkpoints {
  private readonly due = new Map<RoomFeed, number>();
  private sweptMs = Number.NEGATIVE_INFINITY;

  /** Something came that no checkpoint pushed so far covers, or somebody who has got none. */
  want(feed: RoomFeed, nowMs: number): void {
    if (this.due.has(feed)) return;
    this.due.set(feed, Math.max(nowMs + checkpointAfterMs, feed.checkpointMs + checkpointPauseMs));
  }

  /** The shard had none: it is asked again soon. */
  retry(feed: RoomFeed, nowMs: number): void {
    this.due.set(feed, nowMs + checkpointRetryMs);
  }

  /** Rooms whose shard is to be asked now. */
  dueNow(nowMs: number): readonly RoomFeed[] {
    if (nowMs - this.sweptMs < sweepMs) return [];
    this.sweptMs = nowMs;
    const due: RoomFeed[] = [];
    for (const [feed, atMs] of this.due) {
      if (nowMs < atMs) continue;
      this.due.delete(feed);
      if (feed.subscribersCount === 0) continue;
      feed.checkpointMs = nowMs;
      due.push(feed);
    }
    return due;
  }

  /** When `dueNow` is wanted next; Infinity = not before another call. */
  deadlineMs(nowMs: number): number {
    return this.due.size === 0 ? Number.POSITIVE_INFINITY : Math.max(nowMs, this.sweptMs + sweepMs);
  }

  /**
   * Gives a checkpoint to those who have none as new, and names in `dirty` who got it. Who has much
   * to read yet gets a later one: each covers all before it. The count of those given.
   */
  push(
    feed: RoomFeed,
    checkpoint: PushedCheckpoint,
    dirty: { add(outbox: Outbox): unknown },
    nowMs: number,
  ): number {
    let count = 0;
    const made = new Map<string, Uint8Array | null>();
    for (const subscription of feed.live) {
      const { outbox, state } = subscription;
      if (subscription.checkpointSize >= checkpoint.size) continue;
      if (state !== "live" || outbox.bytes > outboxBytesReady) {
        this.want(feed, nowMs);
        continue;
      }
      const { encoding } = outbox;
      const bytes = made.get(encoding.name) ?? encoding.checkpoint(feed.rid, checkpoint);
      made.set(encoding.name, bytes);
      if (bytes === null) continue;
      subscription.checkpointSize = checkpoint.size;
      outbox.push(bytes);
      dirty.add(outbox);
      count += 1;
    }
    return count;
  }

  /** The room is closed. */
  forget(feed: RoomFeed): void {
    this.due.delete(feed);
  }
}
