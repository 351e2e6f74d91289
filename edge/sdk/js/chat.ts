import { ChatError, closeAction, closedError } from "./chat-error.ts";
import { Link } from "./link.ts";
import type { PushedFrame } from "./link.ts";
import { Room } from "./room.ts";
import { Backoff, runtimeClock, runtimeSocket } from "./runtime-clock.ts";
import type { ChatOptions, ChatState, Clock, RoomOptions } from "./types.ts";
import { KeyMaker } from "./uuid.ts";

/** Ids of rooms hold no slash: it stands in the names of threads alone. */
function logOf(room: string, thread: number | null): string {
  return thread === null ? room : `${room}/${thread}`;
}

/**
 * A client of one edge address: one connection for all rooms, made when the first room is opened.
 *
 * idle → connecting → open → waiting → connecting …; → stopped by `close`, or by a close code that
 * forbids to come back unchanged.
 */
export class Chat {
  state: ChatState = "idle";
  private readonly options: ChatOptions;
  private readonly clock: Clock;
  private readonly keys: KeyMaker;
  private readonly backoff: Backoff;
  private readonly rooms = new Map<string, Room>();
  private readonly byRid = new Map<number, Room>();
  private link: Link | null = null;
  private cancelWait: () => void = () => undefined;
  private tokensRefused = false;

  /** Does nothing until the first room is opened. */
  constructor(options: ChatOptions) {
    this.options = options;
    this.clock = options.clock ?? runtimeClock;
    this.keys = new KeyMaker(this.clock);
    this.backoff = new Backoff(this.clock);
  }

  /** Opens a room, or (`options.thread`) a thread in it; returns it when it is open. */
  room(name: string, options: RoomOptions = {}): Room {
    const log = logOf(name, options.thread ?? null);
    const found = this.rooms.get(log);
    if (found !== undefined) return found;
    const room = new Room(name, options, {
      clock: this.clock,
      url: this.options.url ?? null,
      getToken: (asked) => this.options.getToken(asked),
      nextKey: () => this.keys.next(),
      closed: (closed) => this.left(closed),
    });
    if (this.state === "stopped") {
      room.stop(closedError());
      return room;
    }
    this.rooms.set(log, room);
    if (this.state === "idle") void this.connect();
    else if (this.state === "open" && this.link !== null) room.connect(this.link);
    return room;
  }

  /** Closes the connection and all rooms. */
  close(): void {
    this.stop(closedError());
  }

  /** A room is over; without rooms there is no connection. */
  private left(room: Room): void {
    const log = logOf(room.name, room.thread);
    if (this.rooms.get(log) === room) this.rooms.delete(log);
    if (this.rooms.size > 0 || this.state === "stopped") return;
    const { link } = this;
    this.link = null;
    this.cancelWait();
    this.setState("idle");
    link?.close();
  }

  private async connect(): Promise<void> {
    this.setState("connecting");
    const url = this.options.url ?? (await this.discover());
    if (this.state !== "connecting") return;
    if (url === null) {
      this.wait(this.backoff.next());
      return;
    }
    const make = this.options.socket ?? runtimeSocket;
    const link: Link = new Link(url, this.options.client ?? "tigerchat-js", make, this.clock, {
      onOpen: () => this.opened(link),
      onPush: (frame) => this.push(frame),
      onClose: (code, reason) => this.lost(link, code, reason),
    });
    this.link = link;
  }

  /** The address that came with a token of any room. */
  private async discover(): Promise<string | null> {
    for (const room of this.rooms.values()) {
      const url = await room.url().catch(() => null);
      if (url !== null) return url;
    }
    return null;
  }

  private opened(link: Link): void {
    this.setState("open");
    for (const room of [...this.rooms.values()]) room.connect(link);
  }

  private push(frame: PushedFrame): void {
    switch (frame.op) {
      case "attached": {
        const room = this.rooms.get(logOf(frame.room, frame.thread));
        if (room === undefined) return;
        this.byRid.set(frame.rid, room);
        this.tokensRefused = false;
        room.push(frame);
        break;
      }
      case "err":
        // One without a room comes before a close, whose code says it again.
        if (frame.room !== null) this.rooms.get(logOf(frame.room, frame.thread))?.push(frame);
        break;
      case "drain": {
        const { link } = this;
        this.clock.after(this.clock.fraction() * frame.windowMs, () => {
          if (this.link === link) link?.close(1000, "drain");
        });
        break;
      }
      case "ping":
        break;
      default:
        this.byRid.get(frame.rid)?.push(frame);
    }
  }

  private lost(link: Link, code: number, reason: string): void {
    if (this.link !== link) return;
    this.link = null;
    this.byRid.clear();
    const drained = code === 1000 && reason === "drain";
    if (link.openedMs !== null) this.backoff.ended(this.clock.nowMs() - link.openedMs);
    for (const room of [...this.rooms.values()]) room.disconnect();
    if (this.state === "stopped") return;
    const action = closeAction(code);
    if (action === "stop" || (action === "token" && this.tokensRefused)) {
      this.stop(
        new ChatError({
          code: code - 4000,
          name: reason === "" ? "CLOSED" : reason,
          retryable: false,
          message: `The edge closed the connection (${code}).`,
        }),
      );
      return;
    }
    if (action === "token") {
      this.tokensRefused = true;
      for (const room of this.rooms.values()) room.dropToken();
    }
    this.wait(drained ? 0 : this.backoff.next());
  }

  private wait(delayMs: number): void {
    this.setState("waiting");
    this.cancelWait = this.clock.after(delayMs, () => void this.connect());
  }

  private stop(error: ChatError): void {
    if (this.state === "stopped") return;
    this.cancelWait();
    this.setState("stopped");
    const { link } = this;
    this.link = null;
    for (const room of [...this.rooms.values()]) room.stop(error);
    this.rooms.clear();
    link?.close();
  }

  private setState(state: ChatState): void {
    if (this.state === state) return;
    this.state = state;
    this.options.onState?.(state);
  }
}
