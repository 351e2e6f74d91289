// Virtual time, sockets, edge and shard for the fuzzer of the SDK.
// The state machines of the edge are the real ones.
import { setImmediate as turn } from "node:timers/promises";
import type { ChatEntry, Clock, SocketLike } from "@tigerchat/sdk";
import { Chat } from "@tigerchat/sdk";
import type { ErrorName } from "#edge/api/errors.ts";
import { Connection } from "#edge/connection/connection.ts";
import type { ConnectionEffect, PostIntent, PostOutcome } from "#edge/connection/intents.ts";
import { entryMembers, uuidFrom } from "#edge/fanout/entry-json.ts";
import { markOf } from "#edge/fanout/entry-mark.ts";
import { Fanout } from "#edge/fanout/fanout.ts";
import type { Outbox } from "#edge/fanout/outbox.ts";
import type { FeedEntry } from "#edge/fanout/room-feed.ts";
import { edgeLimitsDefault } from "#edge/limit/edge-limits.ts";
import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import type { Entry } from "#replica/wire/entry.ts";

const wallStartMs = 1_790_000_000_000;
const name = { tenant: "", room: "lobby" };
const standing = {
  role: "member",
  bannedUntilUs: 0,
  mutedUntilUs: 0,
  marker: 0,
  mayRead: true,
  staff: false,
  fromSeq: 0,
} as const;
const limits = {
  ...edgeLimitsDefault,
  frames: { perS: 10_000, burst: 10_000 },
  posts: { perS: 10_000, burst: 10_000 },
};

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly call: () => void;
}

/** A socket between one SDK and one connection of the edge. */
class VirtualSocket implements SocketLike {
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  readonly connection: Connection;
  over = false;
  private readonly world: VirtualWorld;
  private lastMs = 0;

  constructor(world: VirtualWorld) {
    this.world = world;
    this.connection = new Connection({ conn: "c", limits, nowMs: world.nowMs, fraction: 0.5 });
    this.deliver(() => this.onopen?.(null as never));
  }

  send(text: string): void {
    this.deliver(() => {
      this.connection.text(text, this.world.nowMs, Math.round(this.world.nowMs * 1000));
      this.world.serve(this);
    });
  }

  close(): void {
    this.end(1000);
  }

  /** The link breaks, or one side closes: nothing on its way arrives. */
  end(code: number): void {
    if (this.over) return;
    this.over = true;
    this.connection.gone();
    this.world.gone(this);
    this.world.at(1, () => this.onclose?.({ code, reason: "" }));
  }

  /** Frames of whole WebSocket messages to the SDK. */
  receive(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk);
    for (let at = 0; at < bytes.length; ) {
      const short = bytes[at + 1] ?? 0;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      const length =
        short < 126 ? short : bytes.readUIntBE(at + (head === 4 ? 2 : 4), head === 4 ? 2 : 6);
      const text = bytes.toString("utf8", at + head, at + head + length);
      this.deliver(() => this.onmessage?.({ data: text }));
      at += head + length;
    }
  }

  /** Later, in order, unless the link is over by then. */
  private deliver(call: () => void): void {
    this.lastMs = Math.max(this.lastMs, this.world.nowMs + this.world.delay());
    this.world.at(this.lastMs - this.world.nowMs, () => {
      if (!this.over) call();
    });
  }
}

/** Everything around the SDK, driven by one seed. */
export class VirtualWorld {
  nowMs = 1_000;
  readonly chance: Prng;
  readonly log: Entry[] = [];
  /** The next post is refused for good. */
  refuseNext: ErrorName | null = null;
  refuseTokens = false;
  /** Seconds that a token lives; null = for ever. */
  tokenLifetimeS: number | null = null;
  /** Nobody can attach while it is set. */
  hold = false;
  private faults = false;
  private readonly timers: Timer[] = [];
  private order = 0;
  private readonly fanout = new Fanout(10);
  private readonly sockets = new Set<VirtualSocket>();
  private readonly keys = new Map<string, number>();

  constructor(seed: number) {
    this.chance = new Prng(seed);
  }

  /** A person with a chat of their own in the room. */
  join(user: string) {
    const entries: ChatEntry[] = [];
    const resets: { readonly next: number }[] = [];
    const errors: string[] = [];
    const states: string[] = [];
    const mine: VirtualSocket[] = [];
    let tokens = 0;
    const chat = new Chat({
      url: "ws://edge",
      clock: this.clock(),
      getToken: async () => {
        tokens += 1;
        if (this.faulty(0.1)) throw new Error("the application's server is away");
        return this.tokenOf(user);
      },
      socket: () => {
        const socket = new VirtualSocket(this);
        this.sockets.add(socket);
        mine.push(socket);
        return socket;
      },
    });
    const room = chat.room("lobby", {
      onEntry: (entry) => entries.push(entry),
      onReset: (reset) => resets.push(reset),
      onError: (error) => errors.push(error.name),
      onState: (state) => states.push(state),
    });
    const cut = () => mine.at(-1)?.end(1006);
    return { user, chat, room, entries, resets, errors, states, cut, tokens: () => tokens };
  }

  private tokenOf(user: string): string {
    const exp =
      this.tokenLifetimeS === null ? 1e12 : Math.floor(this.wallS() + this.tokenLifetimeS);
    const payload = Buffer.from(JSON.stringify({ sub: user, exp })).toString("base64url");
    return `head.${payload}.signature`;
  }

  private wallS(): number {
    return (wallStartMs + this.nowMs) / 1000;
  }

  /** Calls back after virtual milliseconds. */
  at(delayMs: number, call: () => void): void {
    this.order += 1;
    this.timers.push({ atMs: this.nowMs + delayMs, order: this.order, call });
  }

  /** Sleeps virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(ms, resolve));
  }

  /** Milliseconds on the way. */
  delay(): number {
    return this.faults ? this.chance.below(80) : 1;
  }

  /** Lets virtual time pass. */
  async run(durationMs: number, { faults }: { readonly faults: boolean }): Promise<void> {
    this.faults = faults;
    const untilMs = this.nowMs + durationMs;
    let tickMs = this.nowMs;
    while (this.nowMs < untilMs) {
      this.timers.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const [next] = this.timers;
      const atMs = Math.min(next?.atMs ?? untilMs, tickMs, untilMs);
      this.nowMs = Math.max(this.nowMs, atMs);
      if (this.nowMs >= tickMs) {
        this.tick();
        tickMs = this.nowMs + (durationMs > 50_000 ? 100 : 20);
      }
      while (this.timers[0] !== undefined && this.timers[0].atMs <= this.nowMs) {
        this.timers.shift()?.call();
      }
      // Promises of the SDK settle between two moments of virtual time.
      for (let i = 0; i < 4; i += 1) await Promise.resolve();
      if (this.order % 64 === 0) await turn();
    }
    await turn();
  }

  /** The edge asks everybody to leave. */
  drain(windowMs: number): void {
    for (const socket of this.sockets) {
      socket.connection.announceDrain(windowMs, "test");
      this.flush(socket);
    }
  }

  /** A committed entry of somebody else. */
  append(sender: string, body: string): number {
    const seq = this.log.length + 1;
    const key = new Uint8Array(16).fill(seq & 255);
    key[0] = seq >> 8;
    key[6] = 0x70;
    key[8] = 0x80;
    this.commit(sender, key, new TextEncoder().encode(body));
    return seq;
  }

  /** Runs what a connection asks for. */
  serve(socket: VirtualSocket): void {
    for (const effect of socket.connection.drain()) this.effect(socket, effect);
    this.pump();
  }

  /** The socket is over. */
  gone(socket: VirtualSocket): void {
    this.sockets.delete(socket);
    this.fanout.leave(socket.connection.outbox, this.nowMs);
  }

  private faulty(probability: number): boolean {
    return this.faults && this.chance.chance(probability);
  }

  private clock(): Clock {
    return {
      wallMs: () => wallStartMs + this.nowMs,
      nowMs: () => this.nowMs,
      after: (delayMs, call) => {
        let cancelled = false;
        this.at(delayMs, () => {
          if (!cancelled) call();
        });
        return () => {
          cancelled = true;
        };
      },
      fraction: () => this.chance.fraction(),
      random: (count) => Uint8Array.from({ length: count }, () => this.chance.below(256)),
    };
  }

  private tick(): void {
    this.fanout.tick(this.nowMs);
    for (const socket of [...this.sockets]) {
      if (this.faulty(0.01)) socket.end(1006);
      else {
        socket.connection.tick(this.nowMs, this.wallS());
        this.serve(socket);
      }
    }
    if (this.log.length > 0 && this.chance.chance(0.1)) this.rewatch();
    this.pump();
  }

  private rewatch(): void {
    const head = seqFrom(this.log.length);
    const answer = { code: "ok" as const, epoch: 1, head, floor: seqFrom(1) };
    this.fanout.watched(name, answer, this.nowMs);
  }

  private effect(socket: VirtualSocket, effect: ConnectionEffect): void {
    const { connection } = socket;
    const { outbox } = connection;
    switch (effect.kind) {
      case "verify": {
        const payload = Buffer.from(effect.token.split(".")[1] ?? "", "base64url").toString();
        const { sub: user, exp: expiresS } = JSON.parse(payload) as { sub: string; exp: number };
        const scopes = ["read" as const, "post" as const];
        const session = { tenant: "", room: "lobby", user, tokenId: "j", expiresS, scopes };
        const refusal = { error: "TOKEN_INVALID" as const };
        const outcome = this.refuseTokens
          ? { ok: false as const, refusal }
          : { ok: true as const, session };
        connection.verified(effect.ticket, outcome, this.nowMs);
        this.serve(socket);
        break;
      }
      case "subscribe":
        this.fanout.subscribe({ ...effect, outbox }, this.nowMs);
        break;
      case "unsubscribe":
        this.fanout.unsubscribe(outbox, effect.name, this.nowMs);
        break;
      case "post":
        this.post(effect.post, (outcome) => {
          connection.posted(effect.ticket, outcome);
          this.serve(socket);
        });
        break;
      case "recheck":
        this.fanout.recheck(outbox, effect.name);
        break;
      case "read": {
        const { ticket, range } = effect;
        const after = range.kind === "after" ? range.seq : Math.max(0, range.seq - 1 - range.limit);
        const page = this.page(after, range.limit);
        const events = page.map(({ members }) => `{${members}}`);
        const head = this.log.length;
        const bad = { ok: false as const, refusal: { error: "NO_LEADER" as const, retryMs: 50 } };
        const good = { ok: true as const, epoch: 1, head, floor: 1, events, skips: [] };
        const outcome = this.faulty(0.2) ? bad : good;
        this.at(this.delay(), () => {
          connection.pageRead(ticket, outcome);
          this.serve(socket);
        });
        break;
      }
      case "close":
        this.flush(socket);
        socket.end(effect.code);
        break;
      case "terminate":
        socket.end(1006);
        break;
      default:
    }
  }

  private post(intent: PostIntent, done: (outcome: PostOutcome) => void): void {
    const refuse = (error: ErrorName) => done({ ok: false, refusal: { error, retryMs: 20 } });
    const { refuseNext } = this;
    this.refuseNext = null;
    this.at(this.delay(), () => {
      if (refuseNext !== null) refuse(refuseNext);
      else if (this.faulty(0.1)) refuse("NO_LEADER");
      else {
        const key = `${intent.sender} ${uuidFrom(intent.key)}`;
        const known = this.keys.get(key);
        const seq = known ?? this.commit(intent.sender, intent.key, intent.body);
        this.keys.set(key, seq);
        const unknown = this.faulty(0.2);
        const committed = {
          ok: true as const,
          epoch: 1,
          seq,
          timeUs: seq,
          dup: known !== undefined,
        };
        this.at(this.delay(), () => (unknown ? refuse("UNKNOWN_OUTCOME") : done(committed)));
      }
    });
  }

  private commit(sender: string, key: Uint8Array, body: Uint8Array): number {
    const seq = this.log.length + 1;
    this.log.push({
      type: "message",
      redacted: false,
      epoch: 1,
      seq: seqFrom(seq),
      timeUs: timestampFrom(seq),
      sender,
      key,
      parent: seqFrom(0),
      salt: new Uint8Array(16),
      body,
    });
    if (!this.faulty(0.2)) this.fanout.entries(name, this.page(seq - 1, 1), this.nowMs);
    this.pump();
    return seq;
  }

  private page(after: number, limit: number): readonly FeedEntry[] {
    return this.log.slice(after, after + limit).map((entry) => {
      return { seq: entry.seq, members: entryMembers(entry), mark: markOf(entry) };
    });
  }

  private pump(): void {
    for (const effect of this.fanout.drain()) {
      if (effect.kind === "watch") {
        this.at(this.delay(), () => {
          if (this.faulty(0.3) || this.hold) this.fanout.watched(name, null, this.nowMs);
          else this.rewatch();
          this.pump();
        });
      } else if (effect.kind === "read") {
        const entries = this.page(effect.after, 200);
        const page = this.faulty(0.2) ? null : { floor: 1, head: this.log.length, entries };
        this.at(this.delay(), () => {
          this.fanout.page(name, effect.after, page, this.nowMs);
          this.pump();
        });
      } else if (effect.kind === "standing") {
        const answer = this.faulty(0.1) ? null : standing;
        this.at(this.delay(), () => {
          this.fanout.standing(effect.outbox, name, answer, this.nowMs);
          this.pump();
        });
      } else if (effect.kind === "attached" || effect.kind === "refused") {
        const socket = this.ownerOf(effect.outbox);
        if (effect.kind === "attached") socket?.connection.attached(effect.room);
        else socket?.connection.refused(effect.id, effect.room, effect.error);
      }
    }
    for (const socket of this.sockets) this.flush(socket);
  }

  private ownerOf(outbox: Outbox): VirtualSocket | undefined {
    return [...this.sockets].find((socket) => socket.connection.outbox === outbox);
  }

  private flush(socket: VirtualSocket): void {
    const { outbox } = socket.connection;
    while (!outbox.empty) {
      for (const chunk of outbox.take(65_536, this.nowMs)) socket.receive(chunk);
    }
    if (outbox.strained) this.fanout.drained(outbox, this.nowMs);
  }
}
