import { setMutations } from "#replica/base/mutation.ts";
import { Journal } from "./checkers/10-journal.ts";
import { Violation } from "./checkers/subject.ts";
import { Coverage } from "./coverage.ts";
import { FaultStreams } from "./fault-streams.ts";
import { lab } from "./formation.ts";
import type { SimNode } from "./sim-node.ts";
import { type Swarm, swarmOf } from "./swarm.ts";
import type { TimelineFilter } from "./timeline.ts";
import { World } from "./world.ts";

/** How a run ended. */
export interface Outcome {
  readonly seed: number;
  readonly ok: boolean;
  /** What went wrong; empty when nothing did. */
  readonly why: string;
  readonly hash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly commits: number;
  /** The liveness phase was excused: too many machines do not know their head. */
  readonly excused: boolean;
  /** The third machine had to come back before the run could end. */
  readonly third: boolean;
}

/** What a run may be told beside its seed. */
export interface RunWishes {
  /** Deliberate bugs to switch on. */
  readonly mutations?: readonly string[];
  readonly filter?: TimelineFilter;
  readonly coverage?: Coverage;
  readonly swarm?: Swarm;
}

/** Events of a run at most: a run that spins is a failure. */
const eventsMax = 1_000_000;
/** Events between two looks at the bounds of every container. */
const boundsEvery = 4096;
/**
 * From the end of the last write to the look at the journal, ms, without any write in between: a
 * prepare that a slow disk finishes long after its commit begins its identifier's write only then.
 */
const restMs = 240;
/** How long writes may still be under way, ms. */
const restMaxMs = 10_000;

/** No part of the core: its disk is gone, or went back, or what took its place still learns. */
function isLost(node: SimNode): boolean {
  const status = node.host?.replica.status;
  return node.lost !== null || status === "lost" || status === "learner";
}

class Run {
  readonly world: World;
  events = 0;
  excused = false;
  third = false;
  private readonly swarm: Swarm;
  private readonly seed: number;

  constructor(seed: number, swarm: Swarm, coverage: Coverage, filter: TimelineFilter | null) {
    this.seed = seed;
    this.swarm = swarm;
    this.world = new World(seed, swarm, coverage, filter);
  }

  /** Safety: faults until the requests are answered or the time is over. Then liveness. */
  go(): void {
    const { world, swarm } = this;
    const faults = new FaultStreams(world);
    world.start();
    faults.start();
    this.until(swarm.safetyMs, () => world.done);
    faults.stop();
    this.liveness();
  }

  private liveness(): void {
    const { world, swarm } = this;
    world.line("process", -1, "liveness: all faults stop");
    world.heal();
    const without = this.withoutOne();
    const away = this.someoneLost() ? -1 : without;
    for (const node of world.nodes) {
      if (node.index === away) node.crash();
      else node.start();
    }
    const { heap } = world;
    this.until(heap.nowMs + swarm.livenessMs, () => this.calm(without));
    if (!this.calm(without) && away >= 0) {
      this.third = true;
      world.node(without).start();
      this.until(heap.nowMs + swarm.livenessMs, () => this.calm(-1));
    }
    if (this.calm(this.third ? -1 : without)) {
      this.atRest(this.core(this.third ? -1 : without));
      return;
    }
    this.stalled(this.core(without));
  }

  /** Who stays away in the liveness phase: nobody where a slot of the third may be needed. */
  private withoutOne(): number {
    const { swarm, world } = this;
    const { decay } = swarm.every;
    const { readError, readFlip, writeError, lostWrite, misdirected } = swarm.disk;
    const faulty = readError + readFlip + writeError + lostWrite + misdirected > 0;
    const lost = world.nodes.find((node) => isLost(node));
    if (lost !== undefined) return lost.index;
    if (this.seed % 3 !== 0 || decay !== Infinity || faulty) return -1;
    return (this.seed % 9) / 3;
  }

  private someoneLost(): boolean {
    return this.world.nodes.some((node) => isLost(node));
  }

  private core(without: number): readonly SimNode[] {
    return this.world.nodes.filter((node) => node.index !== without && !isLost(node));
  }

  private calm(without: number): boolean {
    const { head } = this.world.judges.history;
    if (!this.world.done || this.world.replacer.pending) return false;
    return this.core(without).every((node) => node.host?.replica.commitMin === head);
  }

  /** Everyone agrees: the checkers of what is at rest. */
  private atRest(core: readonly SimNode[]): void {
    const { world, swarm } = this;
    const { heap } = world;
    let restlessMs = heap.nowMs;
    const rested = (): boolean => {
      // What an upgrade fills the log with may still be under way.
      const { head } = world.judges.history;
      const at = (node: SimNode): boolean => node.host?.replica.commitMin === head;
      const idle = core.every((node) => node.disk.pendingCount === 0 && at(node));
      if (!idle) restlessMs = heap.nowMs;
      return heap.nowMs - restlessMs >= restMs;
    };
    this.until(heap.nowMs + restMaxMs, rested);
    const { history, log } = world.judges;
    log.end();
    const geometry = { slotsCount: swarm.walSlots, slotBytes: swarm.slotBytes };
    const journal = new Journal(lab.tools, geometry);
    for (const node of core) {
      const replica = node.host?.replica;
      if (replica === undefined || node.index === world.atlas.badMachine) continue;
      node.checkBounds();
      const live = { first: replica.checkpointOp + 1, last: history.head };
      const read = (file: string, offset: number, bytes: number): Uint8Array => {
        return node.disk.truth(file, offset, bytes);
      };
      journal.check(node.index, read, live, history.chain);
    }
  }

  private stalled(core: readonly SimNode[]): void {
    const { world } = this;
    const states = world.nodes.map((node) => {
      const replica = node.host?.replica;
      if (replica === undefined) return `r${node.index} down ${node.lost ?? ""}`;
      const { status, view, head, commitMin, commitMax, checkpointOp } = replica;
      const ops = `head ${head} min ${commitMin} max ${commitMax} cp ${checkpointOp}`;
      return `r${node.index} ${status} view ${view} ${ops} ${node.alarm ?? ""}`;
    });
    this.excused = this.excuse(core);
    if (this.excused) {
      world.line("process", -1, `excused: ${states.join("; ")}`);
      return;
    }
    const answers = world.authors.map((author) => author.answered).join(" ");
    const where = `history ${world.judges.history.head}; answered ${answers}`;
    throw new Violation(`liveness: ${where}; ${states.join("; ")}`);
  }

  /**
   * A stall that no rule could end. Who does not know its head neither votes nor acks until a
   * primary tells it the log (rule B): with two of them and nobody who leads there is no quorum;
   * with one, the third vote is missing where a view change cannot do without it (rule A5).
   */
  private excuse(core: readonly SimNode[]): boolean {
    const inStatus = (status: string): readonly SimNode[] => {
      return core.filter((node) => node.host?.replica.status === status);
    };
    const lost = inStatus("recovering_head").length;
    const undecided = inStatus("view_change").some((node) => node.alarm !== null);
    if (inStatus("normal").some((node) => node.host?.replica.primary === node.index)) return false;
    if (lost < 2 && !(lost === 1 && undecided)) return false;
    this.world.coverage.add(`excuse ${lost >= 2 ? "two_heads" : "head_and_vote"}`);
    return true;
  }

  private until(untilMs: number, done: () => boolean): void {
    const { heap } = this.world;
    while (heap.nowMs < untilMs && !done()) {
      this.events += 1;
      if (this.events > eventsMax) throw new Violation("liveness: too many events");
      if (this.events % boundsEvery === 0) for (const node of this.world.nodes) node.checkBounds();
      if (!heap.step()) return;
    }
  }
}

/** Runs one seed. */
export function simulate(seed: number, wishes: RunWishes = {}): Outcome {
  setMutations(wishes.mutations ?? []);
  const coverage = wishes.coverage ?? new Coverage();
  const run = new Run(seed, wishes.swarm ?? swarmOf(seed), coverage, wishes.filter ?? null);
  let why = "";
  try {
    run.go();
  } catch (error) {
    why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (wishes.filter !== undefined && error instanceof Error) {
      wishes.filter.print(error.stack ?? "");
    }
  }
  setMutations([]);
  const { world, events, excused, third } = run;
  const { hash } = world.timeline;
  const commits = world.judges.history.head;
  const virtualMs = world.heap.nowMs;
  return { seed, ok: why === "", why, hash, virtualMs, events, commits, excused, third };
}
