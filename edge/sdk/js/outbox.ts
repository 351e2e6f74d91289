import { ChatError, closedError } from "./chat-error.ts";
import type { ChatEntry, PendingPost, PostAck, PostType } from "./types.ts";

/** A post as the application made it, with its key. */
export interface OutgoingPost {
  readonly key: string;
  readonly type: PostType;
  /** Empty for types without one. */
  readonly body: string;
  readonly parent: number | null;
}

/** The world of an outbox. */
export interface OutboxPort {
  /** Sends one post; rejects with a ChatError. */
  send(post: OutgoingPost): Promise<PostAck>;
  /** The list of pending posts changed. */
  changed(pending: readonly PendingPost[]): void;
  /** True when the timeline has passed that entry. */
  passed(ack: PostAck): boolean;
  later(delayMs: number, call: () => void): void;
  /** Milliseconds until the next try of a post that may succeed later. */
  pauseMs(): number;
}

interface Item extends OutgoingPost {
  state: PendingPost["state"];
  error: ChatError | null;
  ack: PostAck | null;
  readonly resolve: (ack: PostAck) => void;
  readonly reject: (error: ChatError) => void;
}

/** Posts that wait, at most. */
const pendingMax = 1_000;

/**
 * Own posts of one room, first in, first out, one on its way at a time, so that they are committed
 * in order. Retries keep the key. The first that fails for good stops those behind it until the
 * application retries or discards it.
 */
export class Outbox {
  private readonly port: OutboxPort;
  private items: Item[] = [];
  private live = false;
  private busy = false;

  /** Starts empty and not live. */
  constructor(port: OutboxPort) {
    this.port = port;
  }

  /** Posts not known to be committed and shown, oldest first. */
  get pending(): readonly PendingPost[] {
    return this.items.map(({ key, type, body, parent, state, error }) => {
      return { key, type, body, parent, state, error };
    });
  }

  /** Appends a post; resolves when it is committed. */
  add(post: OutgoingPost): Promise<PostAck> {
    return new Promise((resolve, reject) => {
      if (this.items.length >= pendingMax) {
        const message = "Too many posts wait.";
        reject(new ChatError({ code: 429, name: "RATE_LIMITED", message, retryable: true }));
        return;
      }
      this.items.push({ ...post, state: "queued", error: null, ack: null, resolve, reject });
      this.changed();
      this.pump();
    });
  }

  /** Tries a failed post again, with the same key. */
  retry(key: string): void {
    const item = this.items.find((each) => each.key === key && each.state === "failed");
    if (item === undefined) return;
    item.state = "queued";
    item.error = null;
    this.changed();
    this.pump();
  }

  /** Forgets a post that is not on its way. True when it was there. */
  discard(key: string): boolean {
    const item = this.items.find((each) => each.key === key && each.state !== "sending");
    if (item === undefined) return false;
    this.remove(item);
    item.reject(closedError());
    this.pump();
    return true;
  }

  /** Posts may be sent, or not. */
  setLive(live: boolean): void {
    this.live = live;
    this.pump();
  }

  /** An entry was given out: if it is one of ours, it is no longer pending. */
  entry(entry: ChatEntry, user: string | null): void {
    if (user !== null && entry.from !== user) return;
    const item = this.items.find((each) => each.key === entry.key);
    if (item === undefined) return;
    this.remove(item);
    item.resolve(item.ack ?? { epoch: 0, seq: entry.seq, timeUs: entry.timeUs, dup: false });
    this.pump();
  }

  /** The timeline jumped: what was acknowledged before it will not be given out. */
  reset(): void {
    const gone = this.items.filter((item) => item.ack !== null && this.port.passed(item.ack));
    for (const item of gone) this.remove(item);
  }

  /** The room is closed: everything that waits is rejected. */
  close(error: ChatError): void {
    this.live = false;
    const { items } = this;
    this.items = [];
    for (const item of items) if (item.ack === null) item.reject(error);
    if (items.length > 0) this.changed();
  }

  private pump(): void {
    if (!this.live || this.busy) return;
    const item = this.items.find((each) => each.ack === null);
    if (item === undefined || item.state === "failed") return;
    this.busy = true;
    item.state = "sending";
    this.changed();
    const { key, type, body, parent } = item;
    this.port.send({ key, type, body, parent }).then(
      (ack) => this.acknowledged(item, ack),
      (error: ChatError) => this.refused(item, error),
    );
  }

  private acknowledged(item: Item, ack: PostAck): void {
    this.busy = false;
    item.ack = ack;
    item.resolve(ack);
    // Until its entry is given out it stays, so that an application never shows neither.
    if (this.port.passed(ack)) this.remove(item);
    this.pump();
  }

  private refused(item: Item, error: ChatError): void {
    if (!this.items.includes(item)) {
      this.busy = false;
      this.pump();
      return;
    }
    if (error.retryable) {
      item.state = "queued";
      this.changed();
      if (!this.live) {
        // The connection is gone: it goes out again as soon as the room is attached.
        this.busy = false;
        return;
      }
      this.port.later(error.retryMs ?? this.port.pauseMs(), () => {
        this.busy = false;
        this.pump();
      });
      return;
    }
    this.busy = false;
    item.state = "failed";
    item.error = error;
    item.reject(error);
    this.changed();
  }

  private remove(item: Item): void {
    this.items = this.items.filter((each) => each !== item);
    this.changed();
  }

  private changed(): void {
    this.port.changed(this.pending);
  }
}
