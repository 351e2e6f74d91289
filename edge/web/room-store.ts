import { Chat } from "@tigerchat/sdk";
import type { ChatEntry, ChatErrorFacts, LogPin, PendingPost, Room } from "@tigerchat/sdk";
import { mintToken } from "./edge-calls.ts";
import { historyPin, historySentence, keyTrust } from "./history-pin.ts";
import { MessageFold } from "./message-fold.ts";
import type { Message } from "./message.ts";

/** What is known of the history of a room's shard. */
export interface HistoryState {
  readonly verified: boolean;
  /** For people. */
  readonly sentence: string;
  /** The keys that were trusted first are gone: a person may trust those of now. */
  readonly keysChanged: boolean;
}

/** What the page shows of a room. */
export interface RoomState {
  /** Committed messages by seq, then own ones that are not committed yet. */
  readonly messages: readonly Message[];
  readonly link: "connecting" | "live" | "waiting";
  readonly hasOlder: boolean;
  /** Moderator or owner: may delete what others wrote. */
  readonly staff: boolean;
  /** What was verified of the shard's log; null = nothing yet. */
  readonly history: HistoryState | null;
  /** Why the last action failed, for people; empty = it did not. */
  readonly notice: string;
}

/** One connection for all that the page shows. */
export function makeChat(onSignedOut: () => void): Chat {
  return new Chat({
    getToken: async (room) => {
      try {
        return await mintToken(room);
      } catch (error) {
        if (isSignedOut(error)) onSignedOut();
        throw error;
      }
    },
    url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`,
    client: "tigerchat-web",
  });
}

/** How a store is made. */
export interface RoomStoreOptions {
  readonly chat: Chat;
  readonly room: string;
  /** Root of the thread; null = the room itself. */
  readonly thread: number | null;
  readonly user: string;
  readonly onState: (state: RoomState) => void;
}

const pageSize = 50;

/** Keeps one room's messages for the page; the SDK keeps order, holes and retries. */
export class RoomStore {
  private readonly options: RoomStoreOptions;
  private readonly room: Room;
  private readonly firstSeen = new Map<string, number>();
  private readonly fold = new MessageFold();
  private oldest = Number.POSITIVE_INFINITY;
  private pending: readonly Message[] = [];
  private link: RoomState["link"] = "connecting";
  private readonly pin: LogPin | null;
  private history: HistoryState | null = null;
  private notice = "";
  private notifying = false;
  private closed = false;

  constructor(options: RoomStoreOptions) {
    this.options = options;
    const { chat, room, thread } = options;
    this.pin = thread === null ? historyPin(room) : null;
    this.room = chat.room(room, {
      tail: pageSize,
      ...(thread === null ? {} : { thread }),
      ...(this.pin === null ? {} : { pin: this.pin }),
      onVerified: (checkpoint) => this.checked(true, historySentence(checkpoint)),
      onEntry: (entry) => this.take([entry]),
      onPending: (pending) => this.takePending(pending),
      onState: (state) => this.setLink(state === "live" ? "live" : "waiting"),
      onReset: () => this.reset(),
      onError: (error) => this.failed(error),
    });
    this.notify();
  }

  /** Replaces the text of an own message. */
  edit(seq: number, body: string): void {
    this.attempt(this.room.edit(seq, body));
  }

  /** Destroys a message's text. */
  remove(seq: number): void {
    this.attempt(this.room.redact(seq));
  }

  /** Adds an own reaction, or takes it back. */
  react(seq: number, reaction: string, on: boolean): void {
    this.attempt(on ? this.room.react(seq, reaction) : this.room.unreact(seq, reaction));
  }

  /** Sends a message; it shows at once and turns committed by its key. */
  send(body: string): void {
    // The row shows a failure; there is nobody else to tell.
    this.room.post(body).catch(() => undefined);
  }

  /** Tries a failed message again, with the same key. */
  retry(key: string): void {
    this.room.retry(key);
  }

  /** Reads the page before the oldest message shown. */
  async loadOlder(): Promise<void> {
    const { oldest } = this;
    if (oldest <= 1 || oldest === Number.POSITIVE_INFINITY) return;
    const page = await this.room.read({ before: oldest, limit: pageSize }).catch(() => null);
    for (const { from } of page?.skips ?? []) this.oldest = Math.min(this.oldest, from);
    if (page !== null) this.take(page.entries);
  }

  /** The person trusts the keys that the shard has now. */
  async trustKeys(): Promise<void> {
    const { pin } = this;
    if (pin?.pinned == null) return;
    keyTrust.forget(pin.pinned.origin);
    await this.room.checkHistory(pin).then(
      (checkpoint) => this.checked(true, historySentence(checkpoint)),
      (error: unknown) => this.checked(false, error instanceof Error ? error.message : "Failed."),
    );
  }

  /** Leaves the room. */
  close(): void {
    this.closed = true;
    this.room.close();
  }

  private attempt(acted: Promise<unknown>): void {
    this.tell("");
    acted.catch((error: unknown) => this.tell(error instanceof Error ? error.message : "Failed."));
  }

  private tell(notice: string): void {
    this.notice = notice;
    this.notify();
  }

  private failed({ name, message, retryable }: ChatErrorFacts): void {
    const changed = name === "KEYS_CHANGED";
    if (changed || name === "NOT_PROVED") this.checked(false, message, changed);
    else this.tell(retryable ? "" : message);
  }

  private checked(verified: boolean, sentence: string, keysChanged = false): void {
    this.history = { verified, sentence, keysChanged };
    this.notify();
  }

  private take(entries: readonly ChatEntry[]): void {
    for (const entry of entries) {
      this.fold.take(entry);
      this.oldest = Math.min(this.oldest, entry.seq);
    }
    this.notify();
  }

  private takePending(pending: readonly PendingPost[]): void {
    for (const { key, type, state } of pending) {
      // An action that failed for good is told of, and does not hold up what follows.
      if (type !== "msg" && state === "failed") queueMicrotask(() => this.room.discard(key));
    }
    this.pending = pending.flatMap((post) => (post.type === "msg" ? [this.waiting(post)] : []));
    for (const key of this.firstSeen.keys()) {
      if (!this.pending.some((message) => message.key === key)) this.firstSeen.delete(key);
    }
    this.notify();
  }

  private waiting({ key, body, state }: PendingPost): Message {
    const timeMs = this.firstSeen.get(key) ?? Date.now();
    this.firstSeen.set(key, timeMs);
    return {
      key,
      seq: null,
      from: this.options.user,
      timeMs,
      body,
      original: body,
      state: state === "failed" ? "failed" : "pending",
      edited: false,
      redacted: false,
      reactions: [],
      thread: false,
    };
  }

  private setLink(link: RoomState["link"]): void {
    this.link = link;
    this.notify();
  }

  private reset(): void {
    this.fold.clear();
    this.oldest = Number.POSITIVE_INFINITY;
    this.notify();
  }

  /** Tells the page once for all that happens within one turn. */
  private notify(): void {
    if (this.notifying) return;
    this.notifying = true;
    queueMicrotask(() => {
      this.notifying = false;
      if (this.closed) return;
      const committed = this.fold.list();
      const known = new Set(committed.map((message) => message.key));
      const waiting = this.pending.filter((message) => !known.has(message.key));
      const role = this.room.standing?.role;
      this.options.onState({
        messages: [...committed, ...waiting],
        link: this.link,
        hasOlder: this.oldest > 1 && this.oldest !== Number.POSITIVE_INFINITY,
        staff: role === "moderator" || role === "owner",
        history: this.history,
        notice: this.notice,
      });
    });
  }
}

function isSignedOut(error: unknown): boolean {
  if (typeof error !== "object" || error === null || !("status" in error)) return false;
  return error.status === 401;
}
