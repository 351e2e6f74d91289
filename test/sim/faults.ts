import { pipelineMax } from "#replica/base/limits.ts";
import type { Prng } from "#replica/base/prng.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import type { Cluster } from "./cluster.ts";
import type { RunOptions } from "./run-options.ts";

/** Injects a run's faults until it is told to stop. */
export class Faults {
  private readonly cluster: Cluster;
  private readonly options: RunOptions;
  private readonly prng: Prng;
  private active = true;
  private restarts = 0;

  constructor(cluster: Cluster, options: RunOptions) {
    this.cluster = cluster;
    this.options = options;
    this.prng = cluster.prng.fork();
  }

  /** Starts one stream of events for each kind of fault. */
  start(): void {
    const { options } = this;
    this.stream(options.crashEveryMs, () => this.crash());
    this.stream(options.powerLossEveryMs, () => this.powerLoss());
    this.stream(options.partitionEveryMs, () => this.partition());
    this.stream(options.pauseEveryMs, () => this.pause());
    this.stream(options.rotEveryMs, () => this.rot());
    this.stream(options.transferEveryMs, () => this.transfer());
  }

  /** No more faults; what is down stays down until {@link Cluster} restarts it. */
  stop(): void {
    this.active = false;
  }

  private stream(meanMs: number, inject: () => void): void {
    if (meanMs === Infinity) return;
    const next = (): void => {
      this.cluster.heap.after(-meanMs * Math.log(1 - this.prng.fraction()), () => {
        if (!this.active) return;
        inject();
        next();
      });
    };
    next();
  }

  private crash(): void {
    const alive = this.cluster.replicas.filter((each) => each.replica !== null);
    if (alive.length === 0) return;
    if (alive.length < 3 && !this.prng.chance(this.options.doubleCrash)) return;
    this.down(this.prng.pick(alive).index);
  }

  private powerLoss(): void {
    for (const each of this.cluster.replicas) if (each.replica !== null) this.down(each.index);
  }

  private down(index: number): void {
    const { heap } = this.cluster;
    const machine = this.cluster.machine(index);
    machine.crash();
    if (this.prng.chance(0.5)) {
      const replica = replicaFrom(index);
      for (const peer of this.cluster.replicas) {
        heap.after(1 + this.prng.fraction() * 3, () => {
          if (machine.replica === null) peer.deliver({ kind: "peer_refused", replica });
        });
      }
    }
    const { life } = machine;
    this.restarts += 1;
    const downMs = -this.options.downMeanMs * Math.log(1 - this.prng.fraction());
    heap.after(downMs, () => {
      if (this.active && machine.life === life) machine.start();
    });
  }

  private partition(): void {
    const { network, heap } = this.cluster;
    network.heal();
    if (this.prng.chance(0.4)) return;
    const one = this.prng.below(3);
    const other = (one + 1 + this.prng.below(2)) % 3;
    const bothWays = this.prng.chance(0.6);
    network.partition(one, other, bothWays);
    if (this.prng.chance(0.5)) network.partition(one, 3 - one - other, bothWays);
    heap.after(this.prng.fraction() * 800, () => network.heal());
  }

  private pause(): void {
    const machine = this.cluster.machine(this.prng.below(3));
    machine.pausedUntilMs = this.cluster.heap.nowMs + this.prng.fraction() * 300;
  }

  private rot(): void {
    let slot = this.prng.below(this.cluster.slots);
    const machine = this.cluster.machine(this.cluster.victim(slot));
    const alone = this.options.rotMachine >= 0;
    // The newest entry is the one whose loss is the most dangerous.
    if (alone && this.prng.chance(0.3)) slot = machine.disk.highestOp() % this.cluster.slots;
    const both = alone && this.prng.chance(this.options.rotIdentifier);
    // A decayed slot right above the head may hide a newer op and makes the head uncertain.
    const head = machine.disk.highestOp();
    const ahead = (slot - (head % this.cluster.slots) + this.cluster.slots) % this.cluster.slots;
    if (!alone && ahead > 0 && ahead <= 2 * pipelineMax + 2) return;
    if (machine.disk.rot(slot, both)) this.cluster.note(machine.index, `rot of slot ${slot}`);
  }

  private transfer(): void {
    const target = replicaFrom(this.prng.below(3));
    for (const each of this.cluster.replicas) each.deliver({ kind: "transfer", target });
  }
}
