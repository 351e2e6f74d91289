import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { ErrorName } from "#edge/api/errors.ts";
import { frameBytesMax } from "#edge/api/limits.ts";
import type { Listener } from "#edge/bus/hub.ts";
import { Connection } from "#edge/connection/connection.ts";
import type { ConnectionEffect, Refusal, VerifyOutcome } from "#edge/connection/intents.ts";
import { refused } from "#edge/connection/intents.ts";
import type { SocketCounts, SocketDeps } from "./socket-deps.ts";

/** Bytes handed to the kernel's side at most before the rest waits in the outbox. */
const socketBytesHigh = 64 * 1024;

/** What the receiver of ws means by the codes that it closes with. */
const refusalOfReceiver: ReadonlyMap<number, Refusal> = new Map([
  [1009, { error: "TOO_LARGE", detail: `A message has at most ${frameBytesMax} bytes.` }],
  [1007, { error: "BAD_FRAME", detail: "A text message is UTF-8." }],
]);

/** Users and their connections in this process. */
export class UserSlots {
  private readonly counts = new Map<string, number>();
  private readonly max: number;

  /** `max`: connections a user. */
  constructor(max: number) {
    this.max = max;
  }

  /** Takes a slot; false when the user has as many as allowed. */
  take(user: string): boolean {
    const count = this.counts.get(user) ?? 0;
    if (count >= this.max) return false;
    this.counts.set(user, count + 1);
    return true;
  }

  /** Gives a slot back. */
  give(user: string): void {
    const count = (this.counts.get(user) ?? 1) - 1;
    if (count > 0) this.counts.set(user, count);
    else this.counts.delete(user);
  }
}

/** One WebSocket: bytes ↔ the pure connection, and its effects ↔ hub and gate. */
export class ClientSocket implements Listener {
  readonly connection: Connection;
  private readonly socket: WebSocket;
  private readonly raw: Socket;
  private readonly deps: SocketDeps;
  private readonly counts: SocketCounts;
  private readonly users: UserSlots;
  private slotUser: string | null = null;
  private flushing = false;

  /** `raw`: the TCP socket below `socket`; prebuilt frames go to it directly. */
  constructor(parts: {
    readonly socket: WebSocket;
    readonly raw: Socket;
    readonly conn: string;
    readonly deps: SocketDeps;
    readonly counts: SocketCounts;
    readonly users: UserSlots;
  }) {
    this.socket = parts.socket;
    this.raw = parts.raw;
    this.deps = parts.deps;
    this.counts = parts.counts;
    this.users = parts.users;
    const { limits } = parts.deps;
    const { conn } = parts;
    const nowMs = performance.now();
    this.connection = new Connection({ conn, limits, nowMs, fraction: Math.random() });
    this.useOwnCloseCodes();
    parts.socket.on("message", (data: Buffer, isBinary: boolean) => this.message(data, isBinary));
    parts.raw.on("drain", () => this.write());
  }

  /** Something may wait in the outbox: written once the current turn is through. */
  flush(): void {
    if (this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => {
      this.flushing = false;
      this.write();
    });
  }

  attached(_id: string, room: string): void {
    this.connection.attached(room);
    this.after();
  }

  refused(id: string, room: string, error: ErrorName): void {
    this.connection.refused(id, room, error);
    this.after();
  }

  /** Deadlines; about once a second. */
  tick(nowMs: number, nowS: number): void {
    this.connection.tick(nowMs, nowS);
    this.after();
  }

  /** Asks the client to leave. */
  announceDrain(windowMs: number): void {
    this.connection.announceDrain(windowMs, "shutdown");
    this.after();
  }

  /** Ends the connection with that error's close code. */
  close(error: ErrorName): void {
    this.connection.close(error);
    this.after();
  }

  /** The socket is closed: nothing of it stays behind. */
  gone(): void {
    this.connection.gone();
    this.deps.hub.leave(this.connection.outbox);
    if (this.slotUser !== null) this.users.give(this.slotUser);
    this.slotUser = null;
  }

  /** ws ends what its limits refuse with 1009 and 1007: the published table has codes for both. */
  private useOwnCloseCodes(): void {
    const close = this.socket.close.bind(this.socket);
    this.socket.close = (code, reason) => {
      const refusal = code === undefined ? undefined : refusalOfReceiver.get(code);
      if (refusal === undefined || this.connection.state === "closed") {
        close(code, reason);
        return;
      }
      this.connection.unreadable(refusal);
      this.after();
    };
  }

  private message(data: Buffer, isBinary: boolean): void {
    this.counts.framesIn += 1;
    if (isBinary) this.connection.binary();
    else this.connection.text(data.toString("utf8"), performance.now(), Date.now() * 1000);
    this.after();
  }

  private after(): void {
    for (const effect of this.connection.drain()) this.run(effect);
    if (!this.connection.outbox.empty) this.flush();
  }

  private run(effect: ConnectionEffect): void {
    const { hub } = this.deps;
    const { outbox } = this.connection;
    switch (effect.kind) {
      case "verify":
        this.verify(effect.ticket, effect.token);
        break;
      case "subscribe": {
        const { id, name, user, since, tail } = effect;
        hub.subscribe({ outbox, id, name, user, since, tail }, this);
        break;
      }
      case "recheck":
        hub.recheck(outbox, effect.name);
        break;
      case "extend":
        if (!hub.holdsLog(effect.name, effect.from.origin)) break;
        this.connection.extending();
        void hub.extend(outbox, effect.name, effect.from);
        break;
      case "unsubscribe":
        hub.unsubscribe(outbox, effect.name);
        break;
      case "post":
        this.post(effect);
        break;
      case "read":
        this.read(effect);
        break;
      case "signal":
        hub.signal(effect.name, effect.signal, effect.from, outbox);
        break;
      case "close":
        this.write();
        this.socket.close(effect.code, effect.reason);
        break;
      case "terminate":
        this.counts.terminated += 1;
        this.socket.terminate();
        break;
      default:
        effect satisfies never;
    }
  }

  private verify(ticket: number, token: string): void {
    this.deps.gate.verify(token, (outcome) => {
      this.connection.verified(ticket, this.withSlot(outcome), performance.now());
      this.after();
    });
  }

  /** The first valid token takes one of its user's connections. */
  private withSlot(outcome: VerifyOutcome): VerifyOutcome {
    if (!outcome.ok || this.slotUser !== null || this.connection.state === "closed") return outcome;
    const user = `${outcome.session.tenant}\u0000${outcome.session.user}`;
    if (!this.users.take(user)) {
      const detail = "This user has too many connections.";
      return { ok: false, refusal: { error: "RATE_LIMITED", retryMs: 5_000, detail } };
    }
    this.slotUser = user;
    return outcome;
  }

  private post({ ticket, post }: Extract<ConnectionEffect, { kind: "post" }>): void {
    this.counts.posts += 1;
    const waitMs = this.deps.tenantPosts.take(post.name.tenant, performance.now());
    if (waitMs > 0) {
      this.counts.postsFailed += 1;
      this.connection.posted(ticket, refused("RATE_LIMITED", waitMs));
      return;
    }
    this.deps.hub.post(post, (outcome) => {
      if (!outcome.ok) this.counts.postsFailed += 1;
      this.connection.posted(ticket, outcome);
      this.after();
    });
  }

  private read({ ticket, name, range, user }: Extract<ConnectionEffect, { kind: "read" }>): void {
    const settle = (outcome: Parameters<Connection["pageRead"]>[1]) => {
      this.connection.pageRead(ticket, outcome);
      this.after();
    };
    this.deps.hub.read(name, range, user).then(settle, () => {
      settle({ ok: false, refusal: { error: "INTERNAL" } });
    });
  }

  /** Writes what waits, as much as the socket takes; shared buffers as they are. */
  private write(): void {
    const { outbox } = this.connection;
    while (!outbox.empty && this.raw.writable && this.raw.writableLength < socketBytesHigh) {
      const chunks = outbox.take(socketBytesHigh, performance.now());
      const [first] = chunks;
      const bytes = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
      this.counts.writes += 1;
      this.counts.bytesOut += bytes.length;
      this.raw.write(bytes);
    }
    // Not before the socket has given all of it to the kernel: a slow reader would only fall behind
    // again at once, with one gap more. Then `drain` comes, and this is called again.
    if (outbox.strained && outbox.empty && !this.raw.writableNeedDrain) {
      this.deps.hub.drained(outbox);
    }
  }
}
