import { hexFrom } from "#replica/base/bytes.ts";
import type { Prng } from "#replica/base/prng.ts";
import { utf8From } from "#replica/base/text.ts";
import type { SubmitOutcome } from "#replica/client/shard-client.ts";
import { type PostFields, readResult } from "#replica/wire/operation.ts";
import { createRoom, encodeOperations, type Operation, uuidv7 } from "#test/support/prepares.ts";
import { Violation } from "./checkers/subject.ts";
import type { Judges } from "./judges.ts";
import type { Heap } from "./heap.ts";
import type { SimEdge } from "./sim-edge.ts";

const hourMs = 3_600_000;
const startMs = 1_800_000_000_000;
/** Bytes of a post beside its body, about, and of a request beside its operations. */
const postOverhead = 80;

/** What an author lives in. */
export interface AuthorWorld {
  readonly heap: Heap;
  readonly judges: Judges;
  readonly edges: readonly SimEdge[];
  readonly rooms: number;
  readonly wanted: number;
  readonly requestBytesMax: number;
  readonly bulky: boolean;
  readonly thinkMs: number;
}

type Post = { readonly kind: "post" } & PostFields;

/**
 * A user behind the edges: posts one batch after another, and sends a batch again, with the same
 * keys and often by another edge, until it has a definite answer.
 */
export class Author {
  readonly index: number;
  /** Batches with a definite answer. */
  answered = 0;
  private readonly world: AuthorWorld;
  private readonly prng: Prng;
  private edge: number;
  private tail = 0;
  /** Posts made before, for repeating them and for using their keys wrongly. */
  private readonly before: Post[] = [];

  constructor(index: number, world: AuthorWorld, prng: Prng) {
    this.index = index;
    this.world = world;
    this.prng = prng;
    this.edge = prng.below(world.edges.length);
  }

  /** All that it wanted to say has been said. */
  get done(): boolean {
    return this.answered >= this.world.wanted;
  }

  /** Begins after a moment. */
  start(): void {
    this.world.heap.after(20 * this.prng.fraction(), () => this.next());
  }

  private next(): void {
    if (this.done) return;
    const operations = this.batch();
    this.submit(encodeOperations(operations), operations);
  }

  private submit(body: Uint8Array, operations: readonly Operation[]): void {
    const edge = this.world.edges[this.edge];
    if (edge === undefined) throw new Error("sim: edge");
    edge.submit(body, operations.length, (outcome) => this.outcome(outcome, body, operations));
  }

  private outcome(
    outcome: SubmitOutcome,
    body: Uint8Array,
    operations: readonly Operation[],
  ): void {
    const { heap } = this.world;
    if (outcome.kind === "ok") {
      this.take(outcome.results, operations);
      this.answered += 1;
      const idle = this.prng.chance(0.02) ? 300 : 0;
      heap.after(this.world.thinkMs * this.prng.fraction() + idle, () => this.next());
      return;
    }
    if (outcome.kind === "rejected" && outcome.reason !== "busy" && outcome.reason !== "closed") {
      throw new Violation(`14 client log: a sound batch was refused: ${outcome.reason}`);
    }
    // The same keys by another edge: sessions cannot help, only the keys can.
    if (this.prng.chance(0.6)) this.edge = this.prng.below(this.world.edges.length);
    const waitMs = outcome.kind === "rejected" ? outcome.retryMs : 1;
    heap.after(waitMs + 5 * this.prng.fraction(), () => this.submit(body, operations));
  }

  private take(results: Uint8Array, operations: readonly Operation[]): void {
    for (const [index, operation] of operations.entries()) {
      const result = readResult(results, index);
      if (result === null) throw new Violation("4 replies: a result that cannot be read");
      if (operation.kind !== "post" || result.code !== "ok") continue;
      const room = new TextDecoder().decode(operation.room);
      this.world.judges.log.posted(room, result.seq, hexFrom(operation.body));
    }
    if (this.prng.chance(0.3)) this.world.edges[this.edge]?.read();
  }

  private batch(): readonly Operation[] {
    const { prng, world } = this;
    const operations: Operation[] = [];
    let room = world.requestBytesMax;
    const count = prng.pick([1, 1, 1, 2, 4]);
    for (let i = 0; i < count && room > postOverhead + 16; i += 1) {
      const operation = this.operation(room - postOverhead);
      room -= postOverhead + (operation.kind === "post" ? operation.body.length : 0);
      operations.push(operation);
    }
    return operations;
  }

  private operation(bodyMax: number): Operation {
    const { prng } = this;
    const name = `room${prng.below(this.world.rooms)}`;
    const fate = prng.below(100);
    if (fate < 8 || this.answered === 0) return createRoom(name, "");
    const old = this.before.length > 0 ? prng.pick(this.before) : null;
    if (old !== null && old.body.length <= bodyMax) {
      if (fate < 16) return old;
      if (fate < 20) return { ...old, body: utf8From("other"), salt: this.salt() };
    }
    const post: Post = {
      kind: "post",
      tenant: new Uint8Array(0),
      room: utf8From(fate < 22 ? "nowhere" : name),
      sender: utf8From(`author${this.index}`),
      key: this.key(fate),
      salt: this.salt(),
      type: "message",
      parent: fate === 99 ? 100_000 : 0,
      body: this.body(bodyMax),
    };
    this.before.push(post);
    return post;
  }

  private body(bodyMax: number): Uint8Array {
    const { prng } = this;
    const large = prng.chance(this.world.bulky ? 0.8 : 0.1);
    const most = large ? bodyMax : Math.min(bodyMax, 48);
    const least = this.world.bulky && large ? Math.floor(most / 2) : 0;
    const body = new Uint8Array(prng.between(least, most)).fill(prng.below(256));
    for (let at = 0; at < Math.min(body.length, 16); at += 1) body[at] = prng.below(256);
    return body;
  }

  private key(fate: number): Uint8Array {
    this.tail += 1;
    let ms = startMs + Math.floor(this.world.heap.nowMs);
    if (fate === 97) ms -= 25 * hourMs;
    if (fate === 98) ms += hourMs;
    return uuidv7(ms, this.index * 100_000 + this.tail);
  }

  private salt(): Uint8Array {
    return new Uint8Array(16).fill(this.prng.below(256));
  }
}
