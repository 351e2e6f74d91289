import { ChatError, closedError, lostError, tokenError } from "./chat-error.ts";
import { EntryIterator } from "./entry-iterator.ts";
import { HistoryCheck } from "./history-check.ts";
import type { Link, PushedFrame } from "./link.ts";
import type { LogPin } from "./log-pin.ts";
import { Outbox } from "./outbox.ts";
import type { OutgoingPost } from "./outbox.ts";
import type { ProvenCheckpoint } from "./receipt.ts";
import { fetchBeside, fetchSnapshot } from "./snapshot.ts";
import type { RoomSnapshot, SnapshotQuery } from "./snapshot.ts";
import { Timeline } from "./timeline.ts";
import type {
  ChatEntry,
  Clock,
  Page,
  PendingPost,
  PostAck,
  PostType,
  RoomOptions,
  RoomRole,
  RoomSettings,
  RoomState,
  Standing,
  TokenAnswer,
} from "./types.ts";
import { bodyBytesMax, tokenFacts } from "./wire.ts";

/** What a room needs of its chat. */
export interface RoomPort {
  readonly clock: Clock;
  /** WebSocket of the edge as the application gave it, or null. */
  readonly url: string | null;
  getToken(room: string): Promise<TokenAnswer>;
  nextKey(): string;
  closed(room: Room): void;
}

type RoomFrame = Exclude<PushedFrame, { readonly op: "ping" | "drain" }>;

/** A token is asked for anew this long before it ends. */
const refreshEarlyMs = 60_000;
const retryMs = 1_000;
const tailDefault = 50;

/** One room: entries in order, posts in order, whatever the connection does. */
export class Room {
  readonly name: string;
  /** Root of the thread; null = the room itself. */
  readonly thread: number | null;
  state: RoomState = "detached";
  /** What this user is in the room, as of the last attach; null before. */
  standing: Standing | null = null;
  private readonly port: RoomPort;
  private readonly options: RoomOptions;
  private readonly timeline: Timeline;
  private readonly outbox: Outbox;
  private readonly history: HistoryCheck;
  private readonly iterators = new Set<EntryIterator>();
  private link: Link | null = null;
  private token: { readonly text: string; readonly url: string | null } | null = null;
  private user: string | null = null;
  private tokenRefused = false;
  private cancelRefresh: () => void = () => undefined;

  /** Made by Chat.room. */
  constructor(name: string, options: RoomOptions, port: RoomPort) {
    this.name = name;
    this.thread = options.thread ?? null;
    this.options = options;
    this.port = port;
    const later = (delayMs: number, call: () => void) => void port.clock.after(delayMs, call);
    this.history = new HistoryCheck(options, {
      nowMs: () => port.clock.nowMs(),
      get: async (call, query) => {
        const { url, token } = await this.beside();
        return await fetchBeside(url, token, name, call, query);
      },
      forked: (error) => this.stop(error),
    });
    this.timeline = new Timeline(
      {
        later,
        read: (after) => this.read({ after, limit: 200 }),
        deliver: (entry) => this.deliver(entry),
        gap: (gap) => this.options.onGap?.(gap),
        reset: (reset) => {
          this.options.onReset?.(reset);
          this.outbox.reset();
          for (const iterator of this.iterators) iterator.reset(reset.next);
        },
      },
      options.since ?? null,
    );
    this.outbox = new Outbox({
      later,
      pauseMs: () => 200 + 800 * port.clock.fraction(),
      send: (post) => this.send(post),
      changed: (pending) => this.options.onPending?.(pending),
      passed: ({ epoch, seq }) => {
        const { position } = this.timeline;
        return position !== null && (position.epoch !== epoch || position.seq >= seq);
      },
    });
  }

  /** Last entry given out, or null; store it and give it as `since` to resume later. */
  get position(): { readonly epoch: number; readonly seq: number } | null {
    return this.timeline.position;
  }

  /** Own posts that are not committed yet, oldest first. */
  get pending(): readonly PendingPost[] {
    return this.outbox.pending;
  }

  /**
   * Posts a text. Resolves once two of three disks hold it; rejects with a ChatError only when it
   * failed for good. It is in `pending` at once and until its entry is given out.
   */
  async post(
    body: string,
    options: { readonly parent?: number; readonly key?: string } = {},
  ): Promise<PostAck> {
    const { parent = null } = options;
    return await this.add("msg", body, parent, options.key);
  }

  /** Replaces the text of an own message. */
  async edit(seq: number, body: string): Promise<PostAck> {
    return await this.add("edit", body, seq);
  }

  /** Destroys the text of a message and of its edits: one's own, or as a moderator. */
  async redact(seq: number, reason = ""): Promise<PostAck> {
    return await this.add("redact", reason, seq);
  }

  /** Adds a reaction to a message. */
  async react(seq: number, reaction: string): Promise<PostAck> {
    return await this.add("react", reaction, seq);
  }

  /** Takes a reaction back. */
  async unreact(seq: number, reaction: string): Promise<PostAck> {
    return await this.add("unreact", reaction, seq);
  }

  /** Says that everything up to a seq was read. */
  async mark(seq: number): Promise<PostAck> {
    return await this.add("marker", "", seq);
  }

  /** Gives somebody a role, or with `none` takes it away. */
  async setRole(user: string, role: RoomRole): Promise<PostAck> {
    return await this.add("member", JSON.stringify({ user, role }), null);
  }

  /** Bans somebody. `untilUs`: log time, without end when absent; 0 lifts it. */
  async ban(user: string, untilUs = Number.MAX_SAFE_INTEGER): Promise<PostAck> {
    return await this.add("ban", JSON.stringify({ user, until: untilUs }), null);
  }

  /** Mutes somebody: reading is allowed, posting is not. `untilUs`: as for a ban. */
  async mute(user: string, untilUs = Number.MAX_SAFE_INTEGER): Promise<PostAck> {
    return await this.add("mute", JSON.stringify({ user, until: untilUs }), null);
  }

  /** Sets the rules of the room. */
  async setSettings(settings: RoomSettings): Promise<PostAck> {
    const { closed, readonly, fromJoin, privateMarkers } = settings;
    const body = JSON.stringify({ closed, readonly, fromJoin, privateMarkers });
    return await this.add("settings", body, null);
  }

  private async add(
    type: PostType,
    body: string,
    parent: number | null,
    key = this.port.nextKey(),
  ): Promise<PostAck> {
    if (this.state === "stopped") throw closedError();
    const bytes = new TextEncoder().encode(body).length;
    const bodiless = type === "redact" || type === "marker";
    if ((bytes === 0 && !bodiless) || bytes > bodyBytesMax) {
      const message = `A body has 1 to ${bodyBytesMax} bytes.`;
      throw new ChatError({ code: 413, name: "TOO_LARGE", message, retryable: false });
    }
    if (!body.isWellFormed()) {
      const message = "A lone surrogate is no text: post whole characters.";
      throw new ChatError({ code: 400, name: "BAD_FRAME", message, retryable: false });
    }
    return await this.outbox.add({ key, type, body, parent });
  }

  /** Tries a failed post again with the same key; those behind it follow. */
  retry(key: string): void {
    this.outbox.retry(key);
  }

  /** Forgets a post that waits or failed; those behind it go on. False when it is on its way. */
  discard(key: string): boolean {
    return this.outbox.discard(key);
  }

  /** Reads committed entries: after a seq (oldest first), or the last ones before a seq. */
  async read(
    range:
      | { readonly after: number; readonly limit?: number }
      | {
          readonly before: number;
          readonly limit?: number;
        },
  ): Promise<Page> {
    const { link } = this;
    if (link === null) throw lostError();
    const answer = await link.ask({ op: "read", ...this.place, limit: 50, ...range });
    if (answer.op === "ok" && answer.result.kind === "page") return answer.result.page;
    throw lostError();
  }

  /**
   * The room as of an entry (the newest when absent), a page of messages at a time. To replay from
   * there, open the room with `since: {epoch, seq: at}` of the answer.
   */
  async snapshot(query: SnapshotQuery = {}): Promise<RoomSnapshot> {
    const { url, token } = await this.beside();
    return await fetchSnapshot(url, token, this.place, query);
  }

  /**
   * Checks that the signed log of the room's shard extends what `pin` holds, and pins its newest
   * head. A log that does not is refused: the room stops with HISTORY_FORK, the promise rejects.
   */
  async checkHistory(pin: LogPin): Promise<ProvenCheckpoint> {
    return await this.history.check(pin, null);
  }

  private async beside(): Promise<{ readonly url: string; readonly token: string }> {
    const token = await this.freshToken();
    const url = this.port.url ?? this.token?.url ?? null;
    if (url === null) throw lostError();
    return { url, token };
  }

  /** Tells the others something passing, such as `typing`. May be lost. */
  signal(kind: string): void {
    if (this.state === "live") this.link?.tell({ op: "signal", ...this.place, kind });
  }

  /**
   * The entries as an async iterator, from now on. It buffers `bufferMax` entries; a slower reader
   * loses none: it reads them from the room later.
   */
  entries(bufferMax = 256): AsyncIterableIterator<ChatEntry> {
    const iterator = new EntryIterator({
      bufferMax,
      from: this.position?.seq ?? null,
      head: () => this.position?.seq ?? 0,
      read: (after) => this.read({ after, limit: 200 }),
      later: (delayMs, call) => void this.port.clock.after(delayMs, call),
      done: (ended) => this.iterators.delete(ended),
    });
    this.iterators.add(iterator);
    if (this.state === "stopped") iterator.end();
    return iterator;
  }

  /** Leaves the room. Posts that wait are rejected. */
  close(): void {
    if (this.state === "stopped") return;
    void this.link?.ask({ op: "detach", ...this.place }).catch(() => undefined);
    this.stop(closedError());
  }

  /** Chat: where the token says to connect, or null. Rejects when getToken fails. */
  async url(): Promise<string | null> {
    await this.freshToken();
    return this.token?.url ?? null;
  }

  /** Chat: the connection is greeted. */
  connect(link: Link): void {
    this.link = link;
    void this.attach(link);
  }

  /** Chat: the connection is gone. */
  disconnect(): void {
    if (this.link === null) return;
    this.link = null;
    this.cancelRefresh();
    this.timeline.detached();
    this.outbox.setLive(false);
    this.setState("detached");
  }

  /** Chat: the tokens were refused. */
  dropToken(): void {
    this.token = null;
  }

  /** Chat: a frame of this room. */
  push(frame: RoomFrame): void {
    switch (frame.op) {
      case "attached":
        this.attached(frame);
        break;
      case "ev":
        this.timeline.entry(frame.entry);
        break;
      case "skip":
        this.timeline.skip(frame.to);
        break;
      case "head":
        this.timeline.head(frame.seq);
        break;
      case "gap":
        this.timeline.gap(frame.from, frame.to);
        break;
      case "signal":
        this.options.onSignal?.({ kind: frame.kind, from: frame.from });
        break;
      case "ckpt":
        this.history.pushed({ size: frame.size, root: frame.root, note: frame.note });
        break;
      case "err":
        this.detachedBy(frame.error);
        break;
      default:
        frame satisfies never;
    }
  }

  /** Chat: it is over. */
  stop(error: ChatError): void {
    if (this.state === "stopped") return;
    this.disconnect();
    this.outbox.close(error);
    for (const iterator of [...this.iterators]) iterator.end();
    this.setState("stopped");
    this.port.closed(this);
  }

  private async attach(link: Link): Promise<void> {
    this.setState("attaching");
    try {
      const token = await this.freshToken();
      if (this.link !== link) return;
      const { position } = this;
      const tail = this.options.tail ?? tailDefault;
      const since = position === null ? {} : { since: position };
      await link.ask({ op: "attach", ...this.place, token, ...since, tail });
      this.tokenRefused = false;
      if (this.link === link) this.scheduleRefresh(link);
    } catch (error) {
      if (this.link === link) this.attachFailed(link, asChatError(error));
    }
  }

  private attached(frame: Extract<PushedFrame, { readonly op: "attached" }>): void {
    const again = this.position !== null;
    this.standing = frame.you;
    this.timeline.attached(frame);
    this.setState("live");
    this.outbox.setLive(true);
    for (const iterator of this.iterators) iterator.start(frame.next - 1);
    if (again) this.options.onRecovered?.();
    this.history.attached();
  }

  private attachFailed(link: Link, error: ChatError): void {
    this.options.onError?.(error);
    const tokenOver = error.code === 401 && error.name !== "NO_TOKEN";
    if (tokenOver) this.dropToken();
    const again = error.retryable || (tokenOver && !this.tokenRefused);
    if (tokenOver) this.tokenRefused = true;
    if (!again) {
      this.stop(error);
      return;
    }
    this.port.clock.after(error.retryMs ?? retryMs * (0.5 + this.port.clock.fraction()), () => {
      if (this.link === link && this.state === "attaching") void this.attach(link);
    });
  }

  /** The edge detached the room by itself. */
  private detachedBy(error: ChatError): void {
    const { link } = this;
    if (link === null) return;
    this.timeline.detached();
    this.outbox.setLive(false);
    if (error.code === 401) this.dropToken();
    if (error.code === 403 || error.code === 404) {
      this.options.onError?.(error);
      this.stop(error);
    } else void this.attach(link);
  }

  private async freshToken(): Promise<string> {
    if (this.token !== null && this.leftMs() > refreshEarlyMs / 2) return this.token.text;
    const answer = await this.port.getToken(this.name).catch((cause: unknown) => {
      throw tokenError(cause);
    });
    const given = typeof answer === "string" ? { token: answer } : answer;
    this.token = { text: given.token, url: given.url ?? null };
    this.user = tokenFacts(given.token).user ?? this.user;
    return given.token;
  }

  /** Milliseconds until the token ends. */
  private leftMs(): number {
    const expiresS = tokenFacts(this.token?.text ?? "").expiresS;
    return expiresS === null
      ? Number.POSITIVE_INFINITY
      : expiresS * 1000 - this.port.clock.wallMs();
  }

  private scheduleRefresh(link: Link): void {
    this.cancelRefresh();
    const leftMs = this.leftMs();
    if (leftMs === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.max(1_000, leftMs - refreshEarlyMs);
    this.cancelRefresh = this.port.clock.after(waitMs, () => void this.refresh(link));
  }

  private async refresh(link: Link): Promise<void> {
    if (this.link !== link) return;
    this.dropToken();
    try {
      const token = await this.freshToken();
      await link.ask({ op: "refresh", ...this.place, token });
      this.scheduleRefresh(link);
    } catch (error) {
      if (this.link !== link) return;
      this.options.onError?.(asChatError(error));
      const again = () => void this.refresh(link);
      this.cancelRefresh = this.port.clock.after(5_000, again);
    }
  }

  private async send(post: OutgoingPost): Promise<PostAck> {
    const { link } = this;
    if (link === null) throw lostError();
    const { key, type, body: text, parent } = post;
    const about = parent === null ? {} : { parent };
    const body = text === "" ? {} : { body: text };
    const answer = await link.ask({ op: "post", ...this.place, key, type, ...about, ...body });
    if (answer.op === "ok" && answer.result.kind === "post") return answer.result.ack;
    throw lostError();
  }

  /** The members of a frame that name this room or thread. */
  private get place(): { readonly room: string; readonly thread?: number } {
    const { name: room, thread } = this;
    return thread === null ? { room } : { room, thread };
  }

  private deliver(entry: ChatEntry): void {
    this.outbox.entry(entry, this.user);
    this.options.onEntry?.(entry);
    for (const iterator of this.iterators) iterator.push(entry);
  }

  private setState(state: RoomState): void {
    if (this.state === state) return;
    this.state = state;
    this.options.onState?.(state);
  }
}

function asChatError(error: unknown): ChatError {
  return error instanceof ChatError ? error : tokenError(error);
}
