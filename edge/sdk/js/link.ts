import { type ChatError, lostError } from "./chat-error.ts";
import type { Clock, SocketLike } from "./types.ts";
import { decodeFrame, encodeFrame, subprotocol } from "./wire.ts";
import type { ClientFrame, ServerFrame } from "./wire.ts";

/** Frames that answer nothing, for the room or the chat. */
export type PushedFrame = Exclude<ServerFrame, { readonly op: "hello" | "ok" }>;

/** What a link tells its chat. */
export interface LinkEvents {
  /** Greeted: frames may be sent. */
  onOpen(): void;
  /** A frame that answers none of ours; also `attached`, before its promise. */
  onPush(frame: PushedFrame): void;
  /** The end; no event follows. */
  onClose(code: number, reason: string): void;
}

type Answer = Extract<ServerFrame, { readonly op: "ok" | "attached" }>;

interface Waiting {
  readonly answered: (frame: Answer) => void;
  readonly failed: (error: ChatError) => void;
}

const helloDeadlineMs = 10_000;
/** Slack above ping and pong times before a silent connection is given up. */
const silenceSlackMs = 5_000;

/** One WebSocket from dialling to its end: greeting, pongs, silence, answers by id. */
export class Link {
  /** Monotonic time of the greeting, or null. */
  openedMs: number | null = null;
  private readonly socket: SocketLike;
  private readonly clock: Clock;
  private readonly events: LinkEvents;
  private readonly waiting = new Map<string, Waiting>();
  private idNext = 1;
  private silenceMs = helloDeadlineMs;
  private heardMs: number;
  private cancelSilence: () => void = () => undefined;
  private ended = false;

  /** Dials at once. */
  constructor(
    url: string,
    client: string,
    make: (url: string, protocol: string) => SocketLike,
    clock: Clock,
    events: LinkEvents,
  ) {
    this.clock = clock;
    this.events = events;
    this.heardMs = clock.nowMs();
    this.socket = make(url, subprotocol);
    this.socket.onopen = () => this.write(encodeFrame({ op: "hello", v: 1, client }));
    this.socket.onmessage = (event) => this.hear(event.data);
    this.socket.onclose = (event) => this.end(event.code, event.reason);
    this.socket.onerror = () => undefined;
    this.watchSilence();
  }

  /** Sends a frame that is answered; rejects with the `err`, or when the connection is lost. */
  ask(frame: ClientFrame): Promise<Answer> {
    return new Promise((answered, failed) => {
      if (this.ended || this.openedMs === null) {
        failed(lostError());
        return;
      }
      const id = String(this.idNext);
      this.idNext += 1;
      this.waiting.set(id, { answered, failed });
      this.write(encodeFrame(frame, id));
    });
  }

  /** Sends a frame that is not answered. */
  tell(frame: ClientFrame): void {
    if (this.openedMs !== null) this.write(encodeFrame(frame));
  }

  /** Closes; `onClose` follows at once. */
  close(code = 1000, reason = ""): void {
    if (this.ended) return;
    try {
      this.socket.close(code === 1006 ? 1000 : code, reason);
    } catch {
      // A socket that cannot be closed is gone already.
    }
    this.end(code, reason);
  }

  private write(text: string): void {
    if (this.ended) return;
    try {
      this.socket.send(text);
    } catch {
      this.close(1006, "send failed");
    }
  }

  private hear(data: unknown): void {
    if (this.ended) return;
    this.heardMs = this.clock.nowMs();
    const frame = decodeFrame(data);
    if (frame === "unknown") return;
    if (frame === "bad") {
      this.close(4500, "malformed frame");
      return;
    }
    switch (frame.op) {
      case "hello":
        this.openedMs = this.clock.nowMs();
        this.silenceMs = frame.pingMs * 1.2 + frame.pongMs + silenceSlackMs;
        this.watchSilence();
        this.events.onOpen();
        break;
      case "ping":
        this.tell({ op: "pong" });
        break;
      case "ok":
        this.settle(frame.id)?.answered(frame);
        break;
      case "attached":
        this.events.onPush(frame);
        this.settle(frame.id)?.answered(frame);
        break;
      case "err": {
        const waiting = this.settle(frame.id);
        if (waiting === undefined) this.events.onPush(frame);
        else waiting.failed(frame.error);
        break;
      }
      default:
        this.events.onPush(frame);
    }
  }

  private settle(id: string): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  private watchSilence(): void {
    this.cancelSilence();
    const leftMs = this.heardMs + this.silenceMs - this.clock.nowMs();
    this.cancelSilence = this.clock.after(Math.max(1, leftMs), () => {
      const silent = this.clock.nowMs() - this.heardMs >= this.silenceMs;
      if (silent) this.close(1006, "silence");
      else this.watchSilence();
    });
  }

  private end(code: number, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.cancelSilence();
    const lost = [...this.waiting.values()];
    this.waiting.clear();
    this.events.onClose(code, reason);
    for (const { failed } of lost) failed(lostError());
  }
}
