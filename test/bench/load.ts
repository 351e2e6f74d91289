import type { SubmitOutcome, ShardLinkPort } from "#replica/transport/shard-link.ts";
import { sessionWindowMax } from "#replica/base/limits.ts";
import { resultBytes, resultCodes } from "#replica/wire/operation.ts";
import { Histogram } from "./histogram.ts";
import { type LoadShape, PostBatches } from "./post-batch.ts";

/** Creations of rooms in flight at once. */
const creationsMax = 4;

/** How the load is offered. */
export interface LoadOptions extends LoadShape {
  /** Messages a second by the clock, whatever the answers; null = as many as are taken. */
  readonly rate: number | null;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Messages of one batch at most in saturated mode. */
  readonly batchMax: number;
  /** Between two batches of one session in paced mode, ms: how long an edge gathers. */
  readonly paceMs: number;
}

/** What came of a load. */
export interface LoadResult {
  readonly seconds: number;
  readonly committed: number;
  readonly batches: number;
  /** Prepares that the answered batches were in. */
  readonly prepares: number;
  readonly unknown: number;
  readonly rejected: number;
  /** Results other than ok, by code. */
  readonly wrong: Readonly<Record<number, number>>;
  /** Messages that were due and had not been answered at the end. */
  readonly late: number;
  readonly histogram: Histogram;
}

/** How long nobody was answered, and what failed. */
export interface Gap {
  /** Longest time without an answer since the mark, and the one that lasts now. */
  readonly ms: number;
  readonly openMs: number;
  /** Messages since the start that got no answer or a refusal; results other than ok. */
  readonly failed: number;
  readonly wrong: Readonly<Record<number, number>>;
}

/**
 * Offers load through one link per simulated edge. Open loop: a message's time starts when it was
 * due by the clock, so a stalled shard cannot hide its stall (no coordinated omission).
 */
export class Load {
  private readonly links: readonly ShardLinkPort[];
  private readonly options: LoadOptions;
  private readonly batches: PostBatches;
  private readonly inFlight: number[];
  private histogram = new Histogram();
  private committed = 0;
  private answered = 0;
  private batchesCount = 0;
  private prepares = 0;
  private opLast = 0;
  private unknown = 0;
  private rejected = 0;
  private wrong: Record<number, number> = {};
  private startMs = 0;
  private due = 0;
  private ended = false;
  private turn = 0;
  /** Every window was full when messages were due: the next answer sends them. */
  private behind = false;
  /** Longest time between two answers since {@link mark}, and when the last one came. */
  private gapMs = 0;
  private lastAnswerMs = 0;

  /** `links`: each has its own session and window. */
  constructor(links: readonly ShardLinkPort[], options: LoadOptions) {
    this.links = links;
    this.options = options;
    this.batches = new PostBatches(options);
    this.inFlight = links.map(() => 0);
  }

  /** Creates the rooms; waits for the session to open. */
  async prepare(): Promise<void> {
    const [link] = this.links;
    if (link === undefined) throw new Error("a load needs a link");
    const inFlight = new Set<Promise<void>>();
    for (const { body, count } of this.batches.createRooms()) {
      const made = create(link, body, count);
      inFlight.add(made);
      void made.then(() => inFlight.delete(made));
      if (inFlight.size >= creationsMax) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
  }

  /** Runs warm-up and measurement. */
  async run(): Promise<LoadResult> {
    const { warmUpMs, measureMs } = this.options;
    this.startMs = performance.now();
    this.due = 0;
    this.lastAnswerMs = this.startMs;
    const timer = setInterval(() => this.offer(), this.options.paceMs);
    this.offer();
    await new Promise((resolve) => setTimeout(resolve, warmUpMs));
    const measuredFromMs = performance.now();
    this.reset();
    await new Promise((resolve) => setTimeout(resolve, measureMs));
    const seconds = (performance.now() - measuredFromMs) / 1000;
    const result = {
      seconds,
      committed: this.committed,
      batches: this.batchesCount,
      prepares: this.prepares,
      unknown: this.unknown,
      rejected: this.rejected,
      wrong: this.wrong,
      late: Math.max(0, this.dueNow() - this.answered),
      histogram: this.histogram,
    };
    this.ended = true;
    clearInterval(timer);
    await this.settle();
    return result;
  }

  /** Starts a new search for the longest gap. */
  mark(): void {
    this.gapMs = 0;
  }

  /** Longest time without an answer since {@link mark}, the one that lasts now, and failures. */
  gap(): Gap {
    const openMs = performance.now() - this.lastAnswerMs;
    const failed = this.unknown + this.rejected;
    return { ms: Math.max(this.gapMs, openMs), openMs, failed, wrong: this.wrong };
  }

  private reset(): void {
    this.histogram = new Histogram();
    this.committed = 0;
    this.batchesCount = 0;
    this.prepares = 0;
    this.unknown = 0;
    this.rejected = 0;
    this.wrong = {};
  }

  private async settle(): Promise<void> {
    for (let left = 200; left > 0 && this.inFlight.some((count) => count > 0); left -= 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Messages that should have been sent by now. */
  private dueNow(): number {
    const { rate } = this.options;
    if (rate === null) return this.due;
    return Math.floor(((performance.now() - this.startMs) / 1000) * rate) + 1;
  }

  private offer(): void {
    if (this.ended) return;
    this.behind = false;
    const limit = this.options.rate === null ? this.options.batchMax : this.batches.countMax;
    // Looked at once: what falls due while a batch is built belongs to the next turn.
    const dueNow = this.dueNow();
    for (let idle = 0; idle < this.links.length; ) {
      const index = this.turn % this.links.length;
      const wanted = this.options.rate === null ? limit : dueNow - this.due;
      const count = Math.min(wanted, limit, this.batches.countMax);
      if (count <= 0) return;
      this.turn += 1;
      if ((this.inFlight[index] ?? 0) < sessionWindowMax) this.send(index, count);
      else idle += 1;
    }
    this.behind = true;
  }

  private send(index: number, count: number): void {
    const first = this.due;
    const sentMs = performance.now();
    this.due += count;
    this.inFlight[index] = (this.inFlight[index] ?? 0) + 1;
    const body = this.batches.posts(count);
    this.links[index]?.submit(body, count, (outcome) => {
      this.inFlight[index] = (this.inFlight[index] ?? 1) - 1;
      this.answer(outcome, first, count, sentMs);
      if (this.options.rate === null || this.behind) this.offer();
    });
  }

  private answer(outcome: SubmitOutcome, first: number, count: number, sentMs: number): void {
    const nowMs = performance.now();
    this.answered += count;
    this.gapMs = Math.max(this.gapMs, nowMs - this.lastAnswerMs);
    this.lastAnswerMs = nowMs;
    this.batchesCount += 1;
    if (outcome.kind === "unknown") this.unknown += count;
    if (outcome.kind === "rejected") this.rejected += count;
    if (outcome.kind !== "ok") return;
    this.committed += this.countOk(outcome.results);
    if (outcome.op !== this.opLast) this.prepares += 1;
    this.opLast = outcome.op;
    const { rate } = this.options;
    for (let i = 0; i < count; i += 1) {
      const fromMs = rate === null ? sentMs : this.startMs + ((first + i) / rate) * 1000;
      this.histogram.record((nowMs - fromMs) * 1000);
    }
  }

  private countOk(results: Uint8Array): number {
    const view = new DataView(results.buffer, results.byteOffset, results.byteLength);
    let count = 0;
    for (let at = 0; at < results.length; at += resultBytes) {
      const code = view.getUint16(at, true);
      if (code === resultCodes.ok) count += 1;
      else this.wrong[code] = (this.wrong[code] ?? 0) + 1;
    }
    return count;
  }
}

/** Submits creations of rooms again until they are carried out. */
async function create(link: ShardLinkPort, body: Uint8Array, count: number): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    const outcome = await new Promise<SubmitOutcome>((done) => link.submit(body, count, done));
    if (outcome.kind === "ok") return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the rooms could not be created");
}
