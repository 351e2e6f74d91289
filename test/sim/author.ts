import type { Prng } from "#replica/base/prng.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { SubmitOutcome } from "#replica/client/shard-client.ts";
import { readResult } from "#replica/wire/operation.ts";
import { encodeOperations, type Operation } from "#test/support/prepares.ts";
import { Violation } from "./checkers/subject.ts";
import type { Judges } from "./judges.ts";
import type { Heap } from "./heap.ts";
import { type MakerWorld, OperationMaker, operationOverhead } from "./operation-maker.ts";
import type { SimEdge } from "./sim-edge.ts";

/** What an author lives in. */
export interface AuthorWorld extends MakerWorld {
  readonly heap: Heap;
  readonly judges: Judges;
  readonly edges: readonly SimEdge[];
  readonly wanted: number;
  readonly requestBytesMax: number;
  readonly thinkMs: number;
}

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
  private readonly maker: OperationMaker;

  constructor(index: number, world: AuthorWorld, prng: Prng) {
    this.index = index;
    this.world = world;
    this.prng = prng;
    this.edge = prng.below(world.edges.length);
    this.maker = new OperationMaker(index, world, prng.fork());
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
      const { tenant, room, body } = operation;
      const [of, name, said] = [tenant, room, body].map((bytes) => textFromUtf8(bytes) ?? "");
      this.world.judges.log.posted(`${of} ${name}`, result, said ?? "");
    }
    if (this.prng.chance(0.3)) this.world.edges[this.edge]?.read();
  }

  private batch(): readonly Operation[] {
    const { prng, world } = this;
    const operations: Operation[] = [];
    let room = world.requestBytesMax;
    const count = prng.pick([1, 1, 1, 2, 4]);
    for (let i = 0; i < count && room > operationOverhead + 64; i += 1) {
      const first = this.answered + i === 0;
      const operation = this.maker.next(room - operationOverhead, first);
      room -= operationOverhead + (operation.kind === "post" ? operation.body.length : 0);
      operations.push(operation);
    }
    return operations;
  }
}
