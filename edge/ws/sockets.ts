import websocket from "@fastify/websocket";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { frameBytesMax, socketPath, subprotocolJson } from "#edge/api/limits.ts";
import { originAllowed } from "#edge/auth/origin.ts";
import type { Refusal } from "#edge/connection/intents.ts";
import { sendPathProblem } from "#edge/http/path-problem.ts";
import { sendProblem } from "#edge/http/problem.ts";
import { KeyedBuckets } from "#edge/limit/keyed-buckets.ts";
import { ClientSocket, UserSlots } from "./client-socket.ts";
import type { SocketCounts, SocketDeps } from "./socket-deps.ts";

const tickMs = 1_000;
/** Connections told to leave in one turn of the event loop. */
const drainBatch = 500;
/** Those that did not leave are closed at random times within this, or the window if shorter. */
const closeSpreadMs = 1_000;

// Apart, because the types of ws do not know all of its options.
const socketOptions = {
  maxPayload: frameBytesMax,
  maxFragments: 64,
  maxBufferedChunks: 1_024,
  perMessageDeflate: false,
  clientTracking: false,
  closeTimeout: 2_000,
  handleProtocols: (offered: Set<string>) => {
    return offered.has(subprotocolJson) ? subprotocolJson : (false as const);
  },
};

/** All WebSockets of the process. */
export class Sockets {
  readonly counts: SocketCounts = {
    opened: 0,
    closed: 0,
    framesIn: 0,
    writes: 0,
    bytesOut: 0,
    posts: 0,
    postsFailed: 0,
    terminated: 0,
    refused: 0,
  };
  private readonly deps: SocketDeps;
  private readonly clients = new Set<ClientSocket>();
  private readonly users: UserSlots;
  private readonly connects: KeyedBuckets;
  private readonly timer: NodeJS.Timeout;
  private connNext = 1;

  /** Starts the clock of all connections. */
  constructor(deps: SocketDeps) {
    this.deps = deps;
    this.users = new UserSlots(deps.limits.connectionsPerUserMax);
    this.connects = new KeyedBuckets(deps.limits.connects, 10_000, performance.now());
    this.timer = setInterval(() => this.tick(), tickMs);
    this.timer.unref();
  }

  /** Connections now. */
  get count(): number {
    return this.clients.size;
  }

  /** Adds the route. */
  async register(app: FastifyInstance): Promise<void> {
    await app.register(websocket, {
      errorHandler: (_error, socket) => {
        // What the receiver refused is being closed with a code, which terminate() could drop.
        if (socket.readyState === socket.OPEN) socket.terminate();
      },
      // The default closes every client at once; ours is `drain`, called before.
      preClose: (done) => done(),
      options: socketOptions,
    });
    app.get(
      socketPath,
      { websocket: true, preValidation: (request, reply) => this.admit(request, reply) },
      (socket, request) => this.accept(socket, request),
    );
  }

  /** Tells everybody to leave within the window, in batches; resolves when it is over. */
  async drain(windowMs: number): Promise<void> {
    const untilMs = performance.now() + windowMs;
    await this.inBatches((client) => client.announceDrain(windowMs));
    while (this.clients.size > 0 && performance.now() < untilMs) await pause(20);
    const spreadMs = Math.min(closeSpreadMs, windowMs);
    const closing = [...this.clients].map(async (client) => {
      await pause(Math.random() * spreadMs);
      client.close("DRAIN");
    });
    await Promise.all(closing);
    for (let round = 0; round < 25 && this.clients.size > 0; round += 1) await pause(20);
    clearInterval(this.timer);
  }

  private async admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const handshake = handshakeFault(request);
    if (handshake !== null) {
      this.counts.refused += 1;
      reply.header("upgrade", "websocket").header("sec-websocket-version", "13");
      await sendPathProblem(reply, 426, handshake);
      return;
    }
    const refusal = this.refusalOf(request);
    if (refusal === null) return;
    this.counts.refused += 1;
    await sendProblem(reply, refusal);
  }

  private refusalOf(request: FastifyRequest): Refusal | null {
    const { origin, host, "sec-websocket-protocol": offered } = request.headers;
    if (!originAllowed(origin, host, this.deps.allowedOrigins)) {
      const detail = `Pages of ${origin} may not connect: add the origin to allowedOrigins.`;
      return { error: "DENIED", detail };
    }
    const protocols = (offered ?? "").split(",").map((name) => name.trim());
    if (!protocols.includes(subprotocolJson)) {
      const detail = `Offer subprotocol ${subprotocolJson} in Sec-WebSocket-Protocol.`;
      return { error: "BAD_FRAME", detail };
    }
    const refusing = this.deps.refusing();
    if (refusing !== null) return { error: "DRAIN", detail: refusing };
    if (this.clients.size >= this.deps.limits.connectionsMax) {
      const detail = "This edge has as many connections as it takes: try another, or later.";
      return { error: "RATE_LIMITED", retryMs: 5_000, detail };
    }
    const waitMs = this.connects.take(request.ip, performance.now());
    return waitMs > 0 ? { error: "RATE_LIMITED", retryMs: Math.ceil(waitMs) } : null;
  }

  // Handlers are attached within this call: a frame that arrives with the handshake is not lost.
  private accept(socket: WebSocket, request: FastifyRequest): void {
    const raw = request.raw.socket;
    raw.setNoDelay(true);
    const conn = `c-${this.connNext.toString(36)}`;
    this.connNext += 1;
    const { deps, counts, users } = this;
    const client = new ClientSocket({ socket, raw, conn, deps, counts, users });
    this.clients.add(client);
    counts.opened += 1;
    socket.on("close", () => {
      this.clients.delete(client);
      counts.closed += 1;
      client.gone();
    });
  }

  private tick(): void {
    const nowMs = performance.now();
    const nowS = Date.now() / 1000;
    for (const client of this.clients) client.tick(nowMs, nowS);
  }

  private async inBatches(act: (client: ClientSocket) => void): Promise<void> {
    let done = 0;
    for (const client of [...this.clients]) {
      act(client);
      done += 1;
      if (done % drainBatch === 0) await pause(10);
    }
  }
}

/** What is missing for a WebSocket handshake, RFC 6455 section 4.2.1; null = nothing. */
function handshakeFault({ headers }: FastifyRequest): string | null {
  if (headers.upgrade?.toLowerCase() !== "websocket") return "This address is a WebSocket's.";
  if (headers["sec-websocket-version"] !== "13") return "Sec-WebSocket-Version must be 13.";
  const key = headers["sec-websocket-key"] ?? "";
  return /^[+/0-9A-Za-z]{22}==$/.test(key) ? null : "Sec-WebSocket-Key must be 16 bytes of base64.";
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
