import type { ClientFrame } from "#edge/api/client-frames.ts";
import { decodeClientFrame } from "#edge/api/decode-frame.ts";
import type { DecodedFrame } from "#edge/api/decode-frame.ts";
import { errorRow } from "#edge/api/errors.ts";
import type { ErrorName } from "#edge/api/errors.ts";
import {
  helloDeadlineMs,
  idCharsMax,
  pageEntriesMax,
  pingIntervalMs,
  pongDeadlineMs,
  postsPendingMax,
  readsPendingMax,
  roomsPerConnectionMax,
  tokenGraceMs,
} from "#edge/api/limits.ts";
import type { Scope, Session } from "#edge/auth/session.ts";
import { presentedCheckpoint } from "#edge/fanout/checkpoints.ts";
import type { PresentedCheckpoint } from "#edge/fanout/checkpoints.ts";
import { socketEncoding, socketTextFrame } from "#edge/fanout/frame-encoding.ts";
import { Outbox } from "#edge/fanout/outbox.ts";
import type { EdgeLimits } from "#edge/limit/edge-limits.ts";
import { TokenBucket } from "#edge/limit/token-bucket.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { seqFrom } from "#replica/base/brands.ts";
import type { ReadRange } from "#replica/wire/client-message.ts";
import { threadName } from "#replica/wire/room-names.ts";
import { errorText, pageReadText, postedText } from "./answer-frames.ts";
import { postedEntry } from "./posted-entry.ts";
import { serverHello } from "./server-hello.ts";
import type {
  ConnectionEffect,
  PostOutcome,
  ReadOutcome,
  Refusal,
  VerifyOutcome,
} from "./intents.ts";

type Frame<Op extends ClientFrame["op"]> = Extract<ClientFrame, { readonly op: Op }>;

/** What a connection is made with. */
export interface ConnectionOptions {
  /** Id for logs, told in hello. */
  readonly conn: string;
  readonly limits: EdgeLimits;
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  /** Chance in [0, 1): spreads the pings of many connections. */
  readonly fraction: number;
}

const tooManyRooms =
  `A connection follows ${roomsPerConnectionMax} rooms at most: ` +
  "detach one, or open another connection.";

function elsewhere(room: string): string {
  return `The token is for room ${room}: mint one for the room that is attached.`;
}

/** Name of the log that a frame is about: the room's, or that of a thread in it. */
function logOf(frame: { readonly room: string; readonly thread?: number }): string {
  return frame.thread === undefined ? frame.room : threadName(frame.room, frame.thread);
}

/**
 * One client's WebSocket as a state machine: opened → greeted (hello) → closed; per room attaching
 * → attached → detached. Pure: frames, answers and time in; frames into the outbox, effects out.
 */
export class Connection {
  readonly outbox: Outbox;
  state: "opened" | "greeted" | "closed" = "opened";
  /** Set by the first valid token: connections are counted per user by it. */
  user: string | null = null;
  private readonly options: ConnectionOptions;
  private readonly frames: TokenBucket;
  private readonly posts: TokenBucket;
  private effects: ConnectionEffect[] = [];
  /** Sessions by the name of the room or thread. */
  private readonly rooms = new Map<string, Session>();
  private readonly tickets = new Map<number, Frame<"attach" | "refresh" | "post" | "read">>();
  private ticketNext = 1;
  private postsPending = 0;
  private readsPending = 0;
  private abuse = 0;
  private everAttached = false;
  private presented: PresentedCheckpoint | null = null;
  private lastFailure: ErrorName = "HELLO_TIMEOUT";
  private phaseMs: number;
  private heardMs: number;
  private pingDueMs: number;
  private pingSentMs: number | null = null;

  /** A connection whose WebSocket has just been opened. */
  constructor(options: ConnectionOptions) {
    const { nowMs, limits, fraction } = options;
    this.options = options;
    this.outbox = new Outbox(socketEncoding, nowMs);
    this.frames = new TokenBucket(limits.frames, nowMs);
    this.posts = new TokenBucket(limits.posts, nowMs);
    this.phaseMs = nowMs;
    this.heardMs = nowMs;
    this.pingDueMs = nowMs + pingIntervalMs * (0.9 + 0.2 * fraction);
  }

  /** Effects since the last drain, in order. */
  drain(): readonly ConnectionEffect[] {
    const drained = this.effects;
    this.effects = [];
    return drained;
  }

  /** A text message came. `wallUs`: microseconds since 1970, for hello. */
  text(text: string, nowMs: number, wallUs: number): void {
    if (this.state === "closed") return;
    this.heardMs = nowMs;
    const decoded = decodeClientFrame(text);
    const waitMs = this.frames.take(1, nowMs);
    if (waitMs > 0) {
      this.limited(decoded, waitMs);
      return;
    }
    this.abuse = 0;
    if (!decoded.ok) {
      this.error(decoded.id, { error: decoded.name, detail: decoded.detail });
      if (decoded.name === "BAD_FRAME") this.close("BAD_FRAME");
      return;
    }
    this.frame(decoded.frame, nowMs, wallUs);
  }

  /** A binary message came: this subprotocol has none. */
  binary(): void {
    this.unreadable({ error: "BAD_FRAME", detail: "Binary messages are not used." });
  }

  /** A message could not even be read: says why and ends the connection. */
  unreadable(refusal: Refusal): void {
    if (this.state === "closed") return;
    this.error("", refusal);
    this.close(refusal.error);
  }

  /** A `verify` effect is answered. */
  verified(ticket: number, outcome: VerifyOutcome, nowMs: number): void {
    const frame = this.settleTicket(ticket);
    if (frame === null || (frame.op !== "attach" && frame.op !== "refresh")) return;
    this.readsPending -= 1;
    if (!outcome.ok) {
      this.failAttach(frame.id, outcome.refusal);
      return;
    }
    const { session } = outcome;
    if (session.room !== frame.room) {
      this.failAttach(frame.id, { error: "DENIED", detail: elsewhere(session.room) });
    } else if (frame.op === "attach") this.attach(frame, session);
    else this.refresh(frame, session, nowMs);
  }

  /** The fan-out follows the room now; it has put `attached` into the outbox. */
  attached(room: string): void {
    const session = this.rooms.get(room);
    if (session === undefined) return;
    this.everAttached = true;
    if (this.presented === null) return;
    const name = { tenant: session.tenant, room };
    this.effects.push({ kind: "extend", name, from: this.presented });
  }

  /** What the client presented is being proved: once a connection. */
  extending(): void {
    this.presented = null;
  }

  /** The fan-out refused the attach with this id, or detached the room (empty id). */
  refused(id: string, room: string, error: ErrorName): void {
    this.rooms.delete(room);
    if (id !== "") this.failAttach(id, { error, retryMs: 500 });
    else this.error("", { error }, room);
  }

  /** A `post` effect is answered. */
  posted(ticket: number, outcome: PostOutcome): void {
    const frame = this.settleTicket(ticket);
    if (frame === null) return;
    this.postsPending -= 1;
    if (!outcome.ok) {
      this.error(frame.id, outcome.refusal);
      return;
    }
    this.send(postedText(frame.id, outcome));
  }

  /** A `read` effect is answered. */
  pageRead(ticket: number, outcome: ReadOutcome): void {
    const frame = this.settleTicket(ticket);
    if (frame === null) return;
    this.readsPending -= 1;
    if (!outcome.ok) {
      this.error(frame.id, outcome.refusal);
      return;
    }
    this.send(pageReadText(frame.id, outcome));
  }

  /** Deadlines, pings, expiry. To be called about once a second. `nowS`: seconds since 1970. */
  tick(nowMs: number, nowS: number): void {
    if (this.state === "closed") return;
    if (this.outbox.overdue(nowMs)) {
      this.state = "closed";
      this.effects.push({ kind: "terminate", reason: "slow consumer" });
      return;
    }
    if (!this.everAttached && nowMs - this.phaseMs >= helloDeadlineMs) {
      this.error("", { error: this.lastFailure });
      this.close(this.lastFailure);
      return;
    }
    this.expire(nowS);
    this.ping(nowMs);
  }

  /** This edge goes away: asks the client to leave within the window. */
  announceDrain(windowMs: number, reason: string): void {
    if (this.state !== "greeted") return;
    this.send(JSON.stringify({ op: "drain", window_ms: windowMs, reason }));
  }

  /** Ends the connection with the close code of that error. */
  close(error: ErrorName): void {
    if (this.state === "closed") return;
    this.state = "closed";
    const { close, name } = errorRow(error);
    this.effects.push({ kind: "close", code: close ?? 4500, reason: name });
  }

  /** The socket is gone. */
  gone(): void {
    this.state = "closed";
  }

  /** Rooms attached or being attached. */
  get roomsCount(): number {
    return this.rooms.size;
  }

  private frame(frame: ClientFrame, nowMs: number, wallUs: number): void {
    if (frame.op === "pong") return;
    if (frame.op === "hello") {
      this.hello(frame, nowMs, wallUs);
      return;
    }
    if (this.state !== "greeted") {
      const id = "id" in frame ? frame.id : "";
      this.error(id, { error: "BAD_FRAME", detail: "hello comes first." });
      this.close("BAD_FRAME");
      return;
    }
    switch (frame.op) {
      case "attach":
        this.askAttach(frame);
        break;
      case "refresh":
        this.verify(frame);
        break;
      case "detach":
        this.detach(frame);
        break;
      case "post":
        this.post(frame, nowMs);
        break;
      case "read":
        this.read(frame);
        break;
      case "signal":
        this.signal(frame);
        break;
      default:
        frame satisfies never;
    }
  }

  private hello({ ckpt }: Frame<"hello">, nowMs: number, wallUs: number): void {
    if (this.state === "greeted") {
      this.error("", { error: "BAD_FRAME", detail: "hello comes once." });
      this.close("BAD_FRAME");
      return;
    }
    this.state = "greeted";
    this.presented = ckpt === undefined ? null : presentedCheckpoint(ckpt);
    this.phaseMs = nowMs;
    this.send(JSON.stringify(serverHello(this.options.conn, this.options.limits, wallUs)));
  }

  private askAttach(frame: Frame<"attach">): void {
    const log = logOf(frame);
    if (log.length > idCharsMax) {
      this.failAttach(frame.id, { error: "DENIED", detail: "The thread's name is too long." });
    } else if (!this.rooms.has(log) && this.rooms.size >= roomsPerConnectionMax) {
      this.failAttach(frame.id, { error: "DENIED", detail: tooManyRooms });
    } else this.verify(frame);
  }

  private verify(frame: Frame<"attach"> | Frame<"refresh">): void {
    if (this.readsPending >= readsPendingMax) {
      this.error(frame.id, { error: "RATE_LIMITED", retryMs: 200 });
      return;
    }
    this.readsPending += 1;
    this.effects.push({ kind: "verify", ticket: this.ticket(frame), token: frame.token });
  }

  private attach(frame: Frame<"attach">, session: Session): void {
    if (!session.scopes.includes("read")) {
      this.failAttach(frame.id, {
        error: "DENIED",
        detail: "The token lacks scope read: mint one that has it.",
      });
      return;
    }
    const log = logOf(frame);
    const before = this.rooms.get(log);
    if (before !== undefined) this.unsubscribe(before, log);
    else if (this.rooms.size >= roomsPerConnectionMax) {
      this.failAttach(frame.id, { error: "DENIED", detail: tooManyRooms });
      return;
    }
    this.rooms.set(log, session);
    this.user ??= session.user;
    const { id, since = null, tail = 0 } = frame;
    const { tenant, user } = session;
    this.effects.push({ kind: "subscribe", id, name: { tenant, room: log }, user, since, tail });
  }

  private refresh(frame: Frame<"refresh">, session: Session, nowMs: number): void {
    const log = logOf(frame);
    const before = this.rooms.get(log);
    const same = before?.user === session.user && before.tenant === session.tenant;
    if (!same || !session.scopes.includes("read")) {
      const detail = "The room is not attached by this user, or the token lacks scope read.";
      this.error(frame.id, { error: "DENIED", detail });
      return;
    }
    this.rooms.set(log, session);
    this.heardMs = nowMs;
    this.effects.push({ kind: "recheck", name: { tenant: session.tenant, room: log } });
    const result = { expires: session.expiresS };
    this.send(JSON.stringify({ op: "ok", id: frame.id, result }));
  }

  private detach(frame: Frame<"detach">): void {
    const log = logOf(frame);
    const session = this.rooms.get(log);
    if (session !== undefined) this.unsubscribe(session, log);
    this.rooms.delete(log);
    this.send(JSON.stringify({ op: "ok", id: frame.id, result: {} }));
  }

  private unsubscribe({ tenant }: Session, log: string): void {
    this.effects.push({ kind: "unsubscribe", name: { tenant, room: log } });
  }

  private post(frame: Frame<"post">, nowMs: number): void {
    const session = this.allowed(frame, "post");
    if (session === null) return;
    const entry = postedEntry(frame);
    if (!entry.ok) {
      this.error(frame.id, entry.refusal);
      return;
    }
    const waitMs = this.postsPending >= postsPendingMax ? 100 : this.posts.take(1, nowMs);
    if (waitMs > 0) {
      this.error(frame.id, { error: "RATE_LIMITED", retryMs: waitMs });
      return;
    }
    this.postsPending += 1;
    const { type, parent, body } = entry;
    const post = {
      name: { tenant: session.tenant, room: logOf(frame) },
      sender: session.user,
      key: bytesFromHex(frame.key.replaceAll("-", "")),
      type,
      parent,
      body,
    };
    this.effects.push({ kind: "post", ticket: this.ticket(frame), post });
  }

  private read(frame: Frame<"read">): void {
    const session = this.allowed(frame, "read");
    if (session === null) return;
    if (this.readsPending >= readsPendingMax) {
      this.error(frame.id, { error: "RATE_LIMITED", retryMs: 200 });
      return;
    }
    this.readsPending += 1;
    const limit = Math.min(frame.limit ?? 50, pageEntriesMax);
    const { after, before } = frame;
    const range: ReadRange =
      before === undefined
        ? { kind: "after", seq: seqFrom(after ?? 0), limit }
        : { kind: "before", seq: seqFrom(before), limit };
    const name = { tenant: session.tenant, room: logOf(frame) };
    const { user } = session;
    this.effects.push({ kind: "read", ticket: this.ticket(frame), name, user, range });
  }

  private signal(frame: Frame<"signal">): void {
    const log = logOf(frame);
    const session = this.rooms.get(log);
    if (session === undefined || !session.scopes.includes("signal")) return;
    const name = { tenant: session.tenant, room: log };
    this.effects.push({ kind: "signal", name, signal: frame.kind, from: session.user });
  }

  /** The session of an attached room counts for its threads: a first answer makes a thread. */
  private allowed(frame: Frame<"post"> | Frame<"read">, scope: Scope): Session | null {
    const { id } = frame;
    const log = logOf(frame);
    const session = this.rooms.get(log) ?? this.rooms.get(frame.room);
    if (session === undefined || log.length > idCharsMax) {
      this.error(id, { error: "DENIED", detail: "Attach the room first." });
      return null;
    }
    if (session.scopes.includes(scope)) return session;
    this.error(id, {
      error: "DENIED",
      detail: `The token lacks scope ${scope}: mint one that has it.`,
    });
    return null;
  }

  private failAttach(id: string, refusal: Refusal): void {
    const { close } = errorRow(refusal.error);
    if (close === 4401 || close === 4403) this.lastFailure = refusal.error;
    this.error(id, refusal);
  }

  private limited(decoded: DecodedFrame<ClientFrame>, waitMs: number): void {
    this.abuse += 1;
    const id = decoded.ok ? ("id" in decoded.frame ? decoded.frame.id : "") : decoded.id;
    if (this.abuse > this.options.limits.abuseFramesMax) {
      this.error(id, { error: "RATE_LIMITED", retryMs: waitMs });
      this.close("RATE_LIMITED");
    } else if (id !== "") this.error(id, { error: "RATE_LIMITED", retryMs: waitMs });
  }

  private expire(nowS: number): void {
    for (const [log, session] of this.rooms) {
      if (nowS < session.expiresS + tokenGraceMs / 1000) continue;
      this.rooms.delete(log);
      this.unsubscribe(session, log);
      this.error("", { error: "TOKEN_EXPIRED" }, log);
    }
  }

  private ping(nowMs: number): void {
    const { pingSentMs } = this;
    if (pingSentMs !== null && this.heardMs > pingSentMs) this.pingSentMs = null;
    else if (pingSentMs !== null && nowMs - pingSentMs >= pongDeadlineMs) {
      this.state = "closed";
      this.effects.push({ kind: "terminate", reason: "no pong" });
      return;
    }
    if (nowMs < this.pingDueMs || this.state !== "greeted") return;
    this.send('{"op":"ping"}');
    this.pingSentMs = nowMs;
    this.pingDueMs = nowMs + pingIntervalMs * (0.9 + 0.2 * this.options.fraction);
  }

  private ticket(frame: Frame<"attach" | "refresh" | "post" | "read">): number {
    const ticket = this.ticketNext;
    this.ticketNext += 1;
    this.tickets.set(ticket, frame);
    return ticket;
  }

  private settleTicket(ticket: number): Frame<"attach" | "refresh" | "post" | "read"> | null {
    const frame = this.tickets.get(ticket) ?? null;
    this.tickets.delete(ticket);
    return this.state === "closed" ? null : frame;
  }

  private error(id: string, refusal: Refusal, log?: string): void {
    this.send(errorText(id, refusal, log));
  }

  private send(text: string): void {
    this.outbox.push(socketTextFrame(text));
  }
}
