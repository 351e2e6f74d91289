import { setMutations } from "#replica/base/mutation.ts";
import { Cluster } from "./cluster.ts";
import { Faults } from "./faults.ts";
import { type RunOptions, runOptions } from "./run-options.ts";

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
  /** The liveness phase was excused: two machines do not know their head. */
  readonly excused: boolean;
  /** The third machine had to come back before the run could end. */
  readonly third: boolean;
}

/** Events of a run at most: a run that spins is a failure. */
const eventsMax = 2_000_000;

class Run {
  readonly cluster: Cluster;
  events = 0;
  excused = false;
  /** Two of three were not enough. */
  third = false;
  private readonly options: RunOptions;
  private readonly seed: number;

  constructor(seed: number, options: RunOptions, print: ((line: string) => void) | null) {
    this.seed = seed;
    this.options = options;
    this.cluster = new Cluster(seed, options, print);
  }

  /** Safety: faults until the requests are answered or the time is over. Then liveness. */
  go(): void {
    const { cluster, options } = this;
    const faults = new Faults(cluster, options);
    cluster.start();
    faults.start();
    this.until(options.safetyMs, () => cluster.done);
    faults.stop();
    this.liveness();
  }

  private liveness(): void {
    const { cluster, options } = this;
    cluster.network.heal();
    cluster.network.configure({ ...options.network, loss: 0, duplication: 0 });
    cluster.readFailure = 0;
    // The core is everyone, or two of three where no slot of the third is needed.
    const rots = options.rotEveryMs !== Infinity || options.readFailure > 0;
    const without = this.seed % 3 === 0 && !rots ? (this.seed % 9) / 3 : -1;
    let core = cluster.replicas.filter((each) => each.index !== without);
    for (const each of cluster.replicas) {
      each.pausedUntilMs = 0;
      if (each.index === without) {
        if (each.replica !== null) each.crash();
      } else if (each.replica === null) each.start();
    }
    const calm = (): boolean => {
      const head = cluster.history.head;
      return cluster.done && core.every((each) => each.replica?.commitMin === head);
    };
    this.until(cluster.heap.nowMs + options.livenessMs, calm);
    if (!calm() && without >= 0) {
      this.third = true;
      cluster.machine(without).start();
      core = [...cluster.replicas];
      this.until(cluster.heap.nowMs + options.livenessMs, calm);
    }
    if (calm()) {
      cluster.checkEnd(core);
      return;
    }
    const lost = core.filter((each) => each.replica?.status === "recovering_head").length;
    // A quorum without its head, or one such replica and a vote that cannot be done without it.
    const alarms = core.filter((each) => each.alarm !== null).length;
    this.excused = lost >= 2 || (lost === 1 && alarms > 0 && rots);
    if (this.excused) return;
    const states = core.map((each) => {
      const { replica } = each;
      if (replica === null) return `r${each.index} dead`;
      const { status, view, head, commitMin, commitMax, checkpointOp } = replica;
      const ops = `head ${head} min ${commitMin} max ${commitMax} cp ${checkpointOp}`;
      return `r${each.index} ${status} view ${view} ${ops} ${each.alarm ?? ""}`;
    });
    const answers = cluster.clients.map((client) => client.answered).join(" ");
    throw new Error(
      `liveness: history ${cluster.history.head}; answered ${answers}; ${states.join("; ")}`,
    );
  }

  private until(untilMs: number, done: () => boolean): void {
    const { heap } = this.cluster;
    while (heap.nowMs < untilMs && !done()) {
      this.events += 1;
      if (this.events > eventsMax) throw new Error("liveness: too many events");
      if (!heap.step()) return;
    }
  }
}

/** Runs one seed. `mutations`: canaries to switch on; `print`: gets the timeline. */
export function simulate(
  seed: number,
  mutations: readonly string[] = [],
  print: ((line: string) => void) | null = null,
  options: RunOptions = runOptions(seed),
): Outcome {
  setMutations(mutations);
  const run = new Run(seed, options, print);
  let why = "";
  try {
    run.go();
  } catch (error) {
    why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (print !== null && error instanceof Error) print(error.stack ?? "");
  }
  setMutations([]);
  const { cluster, events, excused, third } = run;
  const { hash } = cluster.traceLog;
  const commits = cluster.history.head;
  const virtualMs = cluster.heap.nowMs;
  return { seed, ok: why === "", why, hash, virtualMs, events, commits, excused, third };
}
