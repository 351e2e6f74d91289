import { clientIdFrom } from "#replica/base/brands.ts";
import type { ClientId, Op } from "#replica/base/brands.ts";
import type { Prng } from "#replica/base/prng.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { Request } from "#replica/wire/prepare.ts";
import { type History, Violation } from "./history.ts";
import { fakeHash } from "./fake-sealer.ts";
import type { Heap } from "#test/sim/heap.ts";

/** How clients reach replicas; the cluster implements it. */
export interface Gateway {
  /** Sends a request towards a replica; the network may lose it. */
  submit(client: SimClient, replica: number, request: Request, viewKnown: number): void;
}

type Answer = Extract<Effect, { kind: "reply" | "reject" }>;

interface Outstanding {
  readonly request: Request;
  sentMs: number;
}

/** One client process with its session: numbers, window, retries, rediscovery of the primary. */
export class SimClient {
  readonly index: number;
  clientId: ClientId;
  /** Requests answered, of {@link wanted}. */
  answered = 0;
  readonly wanted: number;
  private readonly heap: Heap;
  private readonly prng: Prng;
  private readonly gateway: Gateway;
  private readonly history: History;
  private readonly made: Set<string>;
  private readonly window: number;
  private session: Op | null = null;
  private nextNumber = 1;
  private generation = 0;
  private viewKnown = 0;
  private target = 0;
  private readonly outstanding = new Map<number, Outstanding>();

  constructor(options: {
    index: number;
    wanted: number;
    window: number;
    heap: Heap;
    prng: Prng;
    gateway: Gateway;
    history: History;
    made: Set<string>;
  }) {
    this.index = options.index;
    this.wanted = options.wanted;
    this.window = options.window;
    this.heap = options.heap;
    this.prng = options.prng;
    this.gateway = options.gateway;
    this.history = options.history;
    this.made = options.made;
    this.clientId = this.freshId();
  }

  /** Every request it wanted to make was answered. */
  get done(): boolean {
    return this.answered >= this.wanted;
  }

  /** Looks after its requests now and then, for ever. */
  start(): void {
    const tick = (): void => {
      this.pump();
      if (!this.done) this.heap.after(10 + this.prng.fraction() * 20, tick);
    };
    this.heap.after(this.prng.fraction() * 50, tick);
  }

  /** An answer from a replica. */
  receive(answer: Answer): void {
    const { header } = { header: answer.request };
    if (header.clientId !== this.clientId) return; // Of an older session of this client.
    if (answer.view > this.viewKnown) this.viewKnown = answer.view;
    const mine = this.outstanding.get(header.requestNumber);
    if (mine === undefined || mine.request.header.requestChecksum !== header.requestChecksum) {
      return;
    }
    if (answer.kind === "reject") {
      this.rejected(answer);
      return;
    }
    this.target = answer.view % 3;
    this.outstanding.delete(header.requestNumber);
    this.checkReply(answer);
    if (header.session === 0) this.session = answer.op;
    else this.answered += 1;
    this.pump();
  }

  private rejected(answer: Extract<Answer, { kind: "reject" }>): void {
    if (answer.reason === "not_primary") this.target = this.viewKnown % 3;
    if (answer.reason === "request_mismatch") throw new Violation("4 replies: mismatch");
    if (answer.reason !== "no_session" || this.session === null) return;
    // Evicted: what was in flight has an unknown outcome; a new life begins.
    this.session = null;
    this.answered += this.outstanding.size;
    this.outstanding.clear();
    this.nextNumber = 1;
    this.clientId = this.freshId();
  }

  private checkReply(answer: Extract<Answer, { kind: "reply" }>): void {
    const { session, requestNumber, requestChecksum, clientId } = answer.request;
    const key = session === 0 ? `register ${clientId}` : `${session} ${requestNumber}`;
    const committed = this.history.committed.get(key);
    if (committed === undefined) throw new Violation(`3 acked but not committed: ${key}`);
    if (committed.op !== answer.op) throw new Violation(`4 replies: op of ${key}`);
    if (committed.requestChecksum !== requestChecksum) throw new Violation("4 replies: request");
    if (fakeHash(committed.reply) !== fakeHash(answer.body)) {
      throw new Violation(`4 replies: body of ${key} differs from the model`);
    }
  }

  private pump(): void {
    if (this.done) return;
    if (this.session === null) {
      if (!this.outstanding.has(0)) this.make(0 as Op, 0, new Uint8Array(0));
    } else {
      const left = this.wanted - this.answered - this.outstanding.size;
      // The window spans numbers: a shard keeps the answers of the last few numbers only.
      const oldest = Math.min(this.nextNumber, ...this.outstanding.keys());
      const free = Math.min(oldest + this.window - this.nextNumber, left);
      for (let i = 0; i < free; i += 1) {
        const body = new Uint8Array(8 + this.prng.below(24));
        for (let at = 0; at < body.length; at += 1) body[at] = this.prng.below(256);
        this.make(this.session, this.nextNumber, body);
        this.nextNumber += 1;
      }
    }
    this.retry();
  }

  private make(session: Op, requestNumber: number, body: Uint8Array): void {
    const operationsCount = session === 0 ? 0 : 1;
    const requestChecksum = fakeHash(body);
    const { clientId } = this;
    const header = { session, requestNumber, requestChecksum, clientId, operationsCount };
    this.made.add(requestChecksum);
    const request: Request = { header, body };
    this.outstanding.set(requestNumber, { request, sentMs: this.heap.nowMs });
    this.gateway.submit(this, this.target, request, this.viewKnown);
  }

  private retry(): void {
    let moved = false;
    for (const entry of this.outstanding.values()) {
      if (this.heap.nowMs - entry.sentMs < 60 + this.prng.fraction() * 60) continue;
      if (!moved && this.prng.chance(0.5)) this.target = this.prng.below(3);
      moved = true;
      entry.sentMs = this.heap.nowMs;
      this.gateway.submit(this, this.target, entry.request, this.viewKnown);
    }
  }

  private freshId(): ClientId {
    this.generation += 1;
    const name = fakeHash(`client ${this.index} ${this.generation}`);
    return clientIdFrom(name.slice(0, 32));
  }
}
