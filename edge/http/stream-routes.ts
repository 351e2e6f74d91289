import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { errorRow } from "#edge/api/errors.ts";
import type { ErrorName } from "#edge/api/errors.ts";
import { longPollSMax, tokenGraceMs } from "#edge/api/limits.ts";
import type { Hub, Listener } from "#edge/bus/hub.ts";
import { pageText } from "#edge/connection/answer-frames.ts";
import type { ReadOutcome } from "#edge/connection/intents.ts";
import { sseEncoding } from "#edge/fanout/frame-encoding.ts";
import { Outbox } from "#edge/fanout/outbox.ts";
import type { Since } from "#edge/fanout/subscription.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { viewerOf } from "./callers.ts";
import type { Callers, RoomCaller } from "./callers.ts";
import { countOf } from "./event-routes.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";

const seqEnd = Number.MAX_SAFE_INTEGER;
const bytesHigh = 64 * 1024;
/** Comment lines keep proxies from closing a silent stream, and show a dead client. */
const keepAliveMs = 15_000;

/** One server-sent stream: an outbox written to a response. */
class EventStream implements Listener {
  readonly outbox = new Outbox(sseEncoding, performance.now());
  private readonly reply: FastifyReply;
  private readonly hub: Hub;
  private readonly timer: NodeJS.Timeout;

  constructor(reply: FastifyReply, hub: Hub, endMs: number) {
    this.reply = reply;
    this.hub = hub;
    this.timer = setInterval(() => this.tick(endMs), keepAliveMs);
    reply.raw.on("drain", () => this.flush());
    reply.raw.on("close", () => this.end());
  }

  flush(): void {
    const { raw } = this.reply;
    while (!this.outbox.empty && raw.writable && raw.writableLength < bytesHigh) {
      for (const chunk of this.outbox.take(bytesHigh, performance.now())) raw.write(chunk);
    }
    if (this.outbox.strained && this.outbox.empty) this.hub.drained(this.outbox);
  }

  attached(): void {
    this.flush();
  }

  refused(_id: string, _room: string, error: ErrorName): void {
    const { code, name, meaning } = errorRow(error);
    const data = JSON.stringify({ code, name, message: meaning });
    this.reply.raw.end(`event: err\ndata: ${data}\n\n`);
  }

  /** Ends the stream with a last event. */
  drain(windowMs: number): void {
    this.reply.raw.end(`event: drain\ndata: {"window_ms":${windowMs}}\n\n`);
  }

  private tick(endMs: number): void {
    if (this.outbox.overdue(performance.now())) this.reply.raw.destroy();
    else if (Date.now() >= endMs) this.refused("", "", "TOKEN_EXPIRED");
    else this.reply.raw.write(": alive\n\n");
  }

  private end(): void {
    clearInterval(this.timer);
    this.hub.leave(this.outbox);
  }
}

/** Streams open now: they end when the edge drains. */
export class Streams {
  private readonly open = new Set<EventStream>();
  /** Ends one long poll each. */
  private readonly polls = new Set<() => void>();

  /** Streams now. */
  get count(): number {
    return this.open.size;
  }

  /** Ends all streams. */
  drain(windowMs: number): void {
    for (const stream of this.open) stream.drain(windowMs);
    for (const end of this.polls) end();
  }

  /** Adds the route: server-sent events, or with `wait` a long poll. */
  register(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
    app.get("/v1/rooms/:room/stream", async (request, reply) => {
      const caller = await callers.inRoom(request, "read");
      const waitS = countOf(request, "wait", { min: 1, max: longPollSMax });
      const since = await positionOf(request, caller, deps.hub);
      if (waitS === undefined) {
        this.follow(reply, caller, since, deps.hub);
        return;
      }
      const page = await longPoll(deps.hub, caller, since, waitS * 1000, this.polls);
      if (!page.ok) throw Problem.of(page.refusal);
      await reply.type("application/json").send(pageText(page));
    });
  }

  private follow(reply: FastifyReply, caller: RoomCaller, since: Since, hub: Hub): void {
    reply.hijack();
    reply.raw.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    const { name, session } = caller;
    const user = viewerOf(caller);
    const endMs =
      session === null ? Number.POSITIVE_INFINITY : session.expiresS * 1000 + tokenGraceMs;
    const stream = new EventStream(reply, hub, endMs);
    this.open.add(stream);
    reply.raw.on("close", () => this.open.delete(stream));
    hub.subscribe({ outbox: stream.outbox, id: "", name, user, since, tail: 0 }, stream);
  }
}

/** Where to go on: Last-Event-ID, else `after` of the epoch now, else the head. Throws. */
async function positionOf(request: FastifyRequest, caller: RoomCaller, hub: Hub): Promise<Since> {
  const last = request.headers["last-event-id"];
  if (typeof last === "string" && last !== "") {
    const [, epoch, seq] = /^([0-9]{1,15}):([0-9]{1,15})$/.exec(last) ?? [];
    if (epoch === undefined) throw new Problem("BAD_FRAME", "Last-Event-ID is epoch:seq.");
    return { epoch: Number(epoch), seq: Number(seq) };
  }
  const after = countOf(request, "after", { min: 0, max: seqEnd });
  const newest = { kind: "before", seq: seqFrom(seqEnd), limit: 1 } as const;
  const page = await hub.read(caller.name, newest, viewerOf(caller));
  if (!page.ok) throw Problem.of(page.refusal);
  return { epoch: page.epoch, seq: after ?? page.head };
}

/** Answers as soon as there is an entry after the position, or with an empty page. */
async function longPoll(
  hub: Hub,
  caller: RoomCaller,
  since: Since,
  waitMs: number,
  polls: Set<() => void>,
): Promise<ReadOutcome> {
  const { name } = caller;
  const user = viewerOf(caller);
  const range = { kind: "after", seq: seqFrom(since.seq), limit: 200 } as const;
  const read = () => hub.read(name, range, user);
  const first = await read();
  if (!first.ok || first.events.length + first.skips.length > 0) return judged(first, since);
  const outbox = new Outbox(sseEncoding, performance.now());
  const refusal = await new Promise<ErrorName | null>((resolve) => {
    let chunks = 0;
    const done = (error: ErrorName | null) => {
      clearTimeout(timer);
      polls.delete(end);
      resolve(error);
    };
    const end = () => done(null);
    const timer = setTimeout(end, waitMs);
    polls.add(end);
    const listener: Listener = {
      flush: () => {
        chunks += outbox.take(bytesHigh, performance.now()).length;
        // The first is `attached`; whatever follows says that there is something to read.
        if (chunks > 1) done(null);
      },
      attached: () => listener.flush(),
      refused: (_id, _room, error) => done(error),
    };
    const position = { epoch: first.epoch, seq: since.seq };
    hub.subscribe({ outbox, id: "", name, user, since: position, tail: 0 }, listener);
  });
  hub.leave(outbox);
  if (refusal !== null) return { ok: false, refusal: { error: refusal, retryMs: 500 } };
  return judged(await read(), since);
}

function judged(outcome: ReadOutcome, since: Since): ReadOutcome {
  if (!outcome.ok || outcome.epoch === since.epoch) return outcome;
  return { ok: false, refusal: { error: "EPOCH_CHANGED" } };
}
