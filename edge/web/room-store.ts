import { Chat, type ChatEntry, type PendingPost, type Room } from "@tigerchat/sdk";
import { mintToken } from "./edge-calls.ts";

/** One line of the conversation as the page shows it. */
export interface Message {
  /** Idempotency key: the same before and after the commit, so the row stays the same. */
  readonly key: string;
  /** Position in the room; null until committed. */
  readonly seq: number | null;
  readonly from: string;
  readonly timeMs: number;
  readonly body: string;
  readonly state: "sent" | "pending" | "failed";
}

/** What the page shows of a room. */
export interface RoomState {
  /** Committed messages by seq, then own ones that are not committed yet. */
  readonly messages: readonly Message[];
  readonly link: "connecting" | "live" | "waiting";
  readonly hasOlder: boolean;
}

/** How a store is made. */
export interface RoomStoreOptions {
  readonly room: string;
  readonly user: string;
  readonly onState: (state: RoomState) => void;
  /** The login ended: ask for a code again. */
  readonly onSignedOut: () => void;
}

/** Messages that the page holds at most; older ones are read again when asked for. */
const messagesMax = 2_000;
const pageSize = 50;

/** Keeps one room's messages for the page; the SDK keeps order, holes and retries. */
export class RoomStore {
  private readonly options: RoomStoreOptions;
  private readonly chat: Chat;
  private readonly room: Room;
  private readonly firstSeen = new Map<string, number>();
  private committed: readonly Message[] = [];
  private pending: readonly Message[] = [];
  private link: RoomState["link"] = "connecting";
  private notifying = false;
  private closed = false;

  constructor(options: RoomStoreOptions) {
    this.options = options;
    this.chat = new Chat({
      getToken: async (room) => {
        try {
          return await mintToken(room);
        } catch (error) {
          if (isSignedOut(error)) options.onSignedOut();
          throw error;
        }
      },
      url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`,
      client: "tigerchat-web",
    });
    this.room = this.chat.room(options.room, {
      tail: pageSize,
      onEntry: (entry) => this.take([entry]),
      onPending: (pending) => this.takePending(pending),
      onState: (state) => this.setLink(state === "live" ? "live" : "waiting"),
      onReset: () => this.reset(),
    });
    this.notify();
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
    const oldest = this.committed[0]?.seq;
    if (oldest === undefined || oldest === null || oldest <= 1) return;
    const page = await this.room.read({ before: oldest, limit: pageSize }).catch(() => null);
    if (page !== null) this.take(page.entries);
  }

  /** Leaves the room and the connection. */
  close(): void {
    this.closed = true;
    this.chat.close();
  }

  private take(entries: readonly ChatEntry[]): void {
    const bySeq = new Map(this.committed.map((message) => [message.seq, message]));
    for (const entry of entries) {
      if (entry.type === "msg") bySeq.set(entry.seq, messageOf(entry));
    }
    const all = [...bySeq.values()].sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    this.committed = all.slice(-messagesMax);
    this.notify();
  }

  private takePending(pending: readonly PendingPost[]): void {
    this.pending = pending.map((post) => {
      const timeMs = this.firstSeen.get(post.key) ?? Date.now();
      this.firstSeen.set(post.key, timeMs);
      const state = post.state === "failed" ? "failed" : "pending";
      return { key: post.key, seq: null, from: this.options.user, timeMs, body: post.body, state };
    });
    for (const key of this.firstSeen.keys()) {
      if (!this.pending.some((message) => message.key === key)) this.firstSeen.delete(key);
    }
    this.notify();
  }

  private setLink(link: RoomState["link"]): void {
    this.link = link;
    this.notify();
  }

  private reset(): void {
    this.committed = [];
    this.notify();
  }

  /** Tells the page once for all that happens within one turn. */
  private notify(): void {
    if (this.notifying) return;
    this.notifying = true;
    queueMicrotask(() => {
      this.notifying = false;
      if (this.closed) return;
      const known = new Set(this.committed.map((message) => message.key));
      const waiting = this.pending.filter((message) => !known.has(message.key));
      this.options.onState({
        messages: [...this.committed, ...waiting],
        link: this.link,
        hasOlder: (this.committed[0]?.seq ?? 1) > 1,
      });
    });
  }
}

function messageOf(entry: ChatEntry): Message {
  return {
    key: entry.key,
    seq: entry.seq,
    from: entry.from,
    timeMs: entry.timeUs / 1000,
    body: entry.body ?? "",
    state: "sent",
  };
}

function isSignedOut(error: unknown): boolean {
  if (typeof error !== "object" || error === null || !("status" in error)) return false;
  return error.status === 401;
}
