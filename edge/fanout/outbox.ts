import type { FrameEncoding } from "./frame-encoding.ts";

/** Bytes queued beyond which the past is no longer read for this client until it has drained. */
export const outboxBytesReady = 64 * 1024;
/** Bytes queued beyond which room events are dropped and the rooms go into gap mode. */
export const outboxBytesSoft = 256 * 1024;
/** Bytes queued beyond which the client is cut off. */
export const outboxBytesMax = 1024 * 1024;
/** Time without any progress beyond which the client is cut off. */
export const outboxStallMs = 10_000;

/** What an outbox has to know of a room that its client follows. */
export interface OutboxRoom {
  state: "waiting" | "catching" | "live" | "lagging" | "ended";
  next: number;
}

interface Item {
  readonly bytes: Uint8Array;
  /** The subscription of a room event; null = an answer to this client, never dropped. */
  readonly subscription: OutboxRoom | null;
  /** Seq of the first event in `bytes`. */
  readonly seq: number;
}

/**
 * What waits to be written to one client. Bounded: over the soft bound the room events in it are
 * dropped (the log has them, one `gap` tells the client), over the hard bound the client is cut.
 */
export class Outbox {
  readonly encoding: FrameEncoding;
  /** Bytes that wait. */
  bytes = 0;
  /** More than a little has waited since it was last drained: the owner says when it is empty. */
  strained = false;
  /** Room events dropped so far. */
  droppedCount = 0;
  private items: Item[] = [];
  private progressMs: number;

  /** `nowMs`: monotonic. */
  constructor(encoding: FrameEncoding, nowMs: number) {
    this.encoding = encoding;
    this.progressMs = nowMs;
  }

  /** Queues an answer to this client. */
  push(bytes: Uint8Array): void {
    this.items.push({ bytes, subscription: null, seq: 0 });
    this.bytes += bytes.length;
    if (this.bytes > outboxBytesReady) this.strained = true;
  }

  /** Queues events of a room; `seq` of the first. May put rooms of this client into gap mode. */
  pushEvents(bytes: Uint8Array, subscription: OutboxRoom, seq: number): void {
    this.items.push({ bytes, subscription, seq });
    this.bytes += bytes.length;
    if (this.bytes > outboxBytesReady) this.strained = true;
    if (this.bytes > outboxBytesSoft) this.dropEvents();
  }

  /** True when nothing waits. */
  get empty(): boolean {
    return this.items.length === 0;
  }

  /** Takes what waits, whole frames, about `bytesMax`; the adapter writes it at once. */
  take(bytesMax: number, nowMs: number): readonly Uint8Array[] {
    this.progressMs = nowMs;
    let count = 0;
    let bytes = 0;
    while (count < this.items.length && bytes < bytesMax) {
      bytes += this.items[count]?.bytes.length ?? 0;
      count += 1;
    }
    const taken = this.items.splice(0, count);
    this.bytes -= bytes;
    return taken.map((item) => item.bytes);
  }

  /** True when the client must be cut off: too much waits, or nothing moved for too long. */
  overdue(nowMs: number): boolean {
    if (this.empty) {
      this.progressMs = nowMs;
      return false;
    }
    return this.bytes > outboxBytesMax || nowMs - this.progressMs > outboxStallMs;
  }

  private dropEvents(): void {
    const kept: Item[] = [];
    for (const item of this.items) {
      const { subscription } = item;
      if (subscription === null) {
        kept.push(item);
        continue;
      }
      this.bytes -= item.bytes.length;
      this.droppedCount += 1;
      if (subscription.state !== "lagging") {
        subscription.state = "lagging";
        subscription.next = item.seq;
      }
    }
    this.items = kept;
  }
}
