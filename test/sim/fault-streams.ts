import { replicaFrom } from "#replica/base/brands.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import type { Prng } from "#replica/base/prng.ts";
import type { VolumeCopy } from "./formation.ts";
import type { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

/** When a copy of a volume is taken that comes back later, ms. */
const copyAtMs = 250;
/** From the copy to its coming back, ms: what peers remember is durable within 50 heartbeats. */
const rollBackAfterMs = 2600;

/** Injects a run's faults until it is told to stop. */
export class FaultStreams {
  private readonly world: World;
  private readonly prng: Prng;
  private active = true;

  constructor(world: World) {
    this.world = world;
    this.prng = world.prng.fork();
  }

  /** Starts one stream of events for each kind of fault. */
  start(afterRollback = false): void {
    const { every, rollback } = this.world.swarm;
    if (!afterRollback) this.drift();
    if (rollback && !afterRollback) {
      this.rollBackLater();
      return;
    }
    this.stream(every.crash, () => this.crash());
    this.stream(every.powerLoss, () => this.powerLoss());
    this.stream(every.partition, () => this.partition());
    this.stream(every.pause, () => this.pause("pause", 300));
    this.stream(every.stall, () => this.pause("stall", 40));
    this.stream(every.decay, () => this.decay());
    this.stream(every.transfer, () => this.transfer());
    if (this.world.atlas.badMachine >= 0) this.stream(every.lostDisk, () => this.loseDisk());
    this.stream(every.clockStep, () => this.clockStep());
    this.stream(every.edgeCrash, () => this.edgeCrash());
    this.stream(every.reset, () => this.reset());
    this.stream(every.rewrap, () => this.rewrap());
    this.stream(every.day, () => this.day());
    this.world.keysFail = true;
    this.keysDecay();
  }

  /** No more faults; what is down stays down until the liveness phase starts it. */
  stop(): void {
    this.active = false;
    this.world.keysFail = false;
    // Without two clocks that agree no request gets a time (rule A10).
    for (const node of this.world.nodes) node.wallOffsetUs = 0;
  }

  private drift(): void {
    const { driftMax } = this.world.swarm;
    if (driftMax === 0) return;
    for (const node of this.world.nodes) {
      node.rate = 1 + driftMax * (2 * this.prng.fraction() - 1);
    }
    this.count("clock_drift");
  }

  private count(kind: string): void {
    this.world.coverage.add(`fault ${kind}`);
  }

  private stream(meanMs: number, inject: () => void): void {
    if (meanMs === Infinity) return;
    const next = (): void => {
      this.world.heap.after(-meanMs * Math.log(1 - this.prng.fraction()), () => {
        if (!this.active) return;
        inject();
        next();
      });
    };
    next();
  }

  private crash(): void {
    const { nodes, swarm } = this.world;
    const alive = nodes.filter((node) => node.up);
    if (alive.length === 0) return;
    if (alive.length < 3 && !this.prng.chance(swarm.doubleCrash)) return;
    // A crash with writes in flight finds more.
    const writing = alive.filter((node) => node.disk.pendingCount > 0);
    const some = writing.length > 0 && this.prng.chance(0.9) ? writing : alive;
    this.count("crash");
    this.down(this.prng.pick(some));
  }

  private powerLoss(): void {
    this.count("power_loss");
    for (const node of this.world.nodes) if (node.up) this.down(node);
  }

  private down(node: SimNode): void {
    const { heap, nodes, swarm } = this.world;
    node.crash();
    if (this.prng.chance(0.5)) {
      this.count("peer_refused");
      for (const peer of nodes) {
        heap.after(1 + this.prng.fraction() * 3, () => {
          if (!node.up && peer !== node) peer.peerRefused(node.index);
        });
      }
    }
    const { life } = node;
    const downMs = -swarm.downMeanMs * Math.log(1 - this.prng.fraction());
    heap.after(downMs, () => {
      if (this.active && node.life === life) node.start();
    });
  }

  private partition(): void {
    const { network, heap } = this.world;
    network.heal();
    if (this.prng.chance(0.4)) return;
    const one = this.prng.below(3);
    const other = (one + 1 + this.prng.below(2)) % 3;
    const bothWays = this.prng.chance(0.6);
    network.partition(one, other, bothWays);
    if (this.prng.chance(0.5)) network.partition(one, 3 - one - other, bothWays);
    heap.after(this.prng.fraction() * 800, () => network.heal());
  }

  private pause(kind: "pause" | "stall", maxMs: number): void {
    const node = this.world.node(this.prng.below(3));
    this.count(kind);
    node.pausedUntilMs = this.world.heap.nowMs + this.prng.fraction() * maxMs;
    this.world.line("fault", node.index, `${kind} until ${node.pausedUntilMs.toFixed(0)}`);
  }

  private decay(): void {
    const { atlas, nodes, swarm } = this.world;
    const alone = atlas.badMachine;
    const file = alone < 0 ? "prepares" : this.file(alone);
    const node = alone < 0 ? null : this.world.node(alone);
    const size = (node ?? this.world.node(0)).disk.size(file);
    let offset = atlas.place(size);
    if (alone >= 0 && file === "prepares" && this.prng.chance(0.3)) {
      // The newest entry is the one whose loss is the most dangerous.
      offset = (this.world.node(alone).headSeen % swarm.walSlots) * swarm.slotBytes;
    }
    for (const each of node === null ? nodes : [node]) {
      if (!atlas.mayDecay(each.index, file, offset, each.headSeen)) continue;
      if (alone < 0 && each.disk.isPending(file, offset)) continue;
      const unit = Math.floor(offset / diskUnitBytes);
      if (!each.disk.decay(file, unit, atlas.silent || file !== "prepares")) continue;
      this.count(`decay_${file.startsWith("segments/") ? "segments" : file}`);
      this.world.line("fault", each.index, `decay of ${file} at ${offset}`);
    }
  }

  private file(machine: number): string {
    const fate = this.prng.below(100);
    if (fate < 60) return "prepares";
    if (fate < 80) return "identifiers";
    if (fate < 84) return "superblock";
    const segments = this.world.node(machine).disk.names.filter((name) => name.includes("/"));
    return segments.length === 0 ? "prepares" : this.prng.pick(segments);
  }

  private transfer(): void {
    const target = replicaFrom(this.prng.below(3));
    this.count("transfer");
    for (const node of this.world.nodes) node.transfer(target);
  }

  /**
   * A volume goes back to an older copy of itself. Its peers must have heard of it since, and have
   * had time to make that durable: what nobody knows, nobody can notice.
   */
  private rollBackLater(): void {
    const { heap, atlas, judges } = this.world;
    const node = this.world.node(atlas.badMachine);
    heap.after(copyAtMs, () => {
      const copy = node.copyVolume();
      const writes = judges.superblocks[node.index] ?? 0;
      heap.after(rollBackAfterMs, () => {
        const sound = node.host !== null && (judges.superblocks[node.index] ?? 0) > writes;
        if (this.active && sound) this.rollBack(node, copy);
        this.start(true);
      });
    });
  }

  private rollBack(node: SimNode, copy: VolumeCopy): void {
    this.count("rollback");
    this.world.line("fault", node.index, "volume rolled back");
    node.crash();
    node.rollBack(copy);
    this.world.judges.rolledBack(node.index, node.headSeen);
    node.start();
  }

  /** The bad machine loses its disk whole. */
  private loseDisk(): void {
    const { atlas, judges } = this.world;
    const node = this.world.node(atlas.badMachine);
    if (!judges.formed || node.lost !== null || atlas.replaced) return;
    this.count("lost_disk");
    this.world.line("fault", node.index, "disk lost");
    node.loseDisk(this.world.keysPrng.chance(0.3) ? "keys" : "all");
  }

  private clockStep(): void {
    const node = this.world.node(this.prng.below(3));
    const seconds = this.prng.pick([0.01, 1, 60, 600]) * (this.prng.chance(0.5) ? 1 : -1);
    this.count("clock_step");
    node.wallOffsetUs = Math.floor(seconds * 1_000_000 * this.prng.fraction());
    this.world.line("fault", node.index, `wall clock off by ${node.wallOffsetUs} us`);
  }

  /** Idle for longer than keys are remembered: they are forgotten, old entries may go. */
  private day(): void {
    this.count("idle_day");
    this.world.passedUs += 25 * 3_600_000_000;
    this.world.line("fault", -1, "a day passes");
  }

  private rewrap(): void {
    this.count("rewrap");
    this.world.kekFile.change(this.world.nodes);
  }

  private keysDecay(): void {
    const { heap, swarm, keysPrng, atlas, nodes } = this.world;
    const { decayMs } = swarm.keyFaults;
    if (decayMs === Infinity) return;
    heap.after(-decayMs * Math.log(1 - keysPrng.fraction()), () => {
      if (!this.active) return;
      if (!atlas.calm) keysPrng.pick(nodes).keys.decay();
      this.keysDecay();
    });
  }

  private edgeCrash(): void {
    this.count("edge_crash");
    this.prng.pick(this.world.edges).crash();
  }

  private reset(): void {
    this.count("connection_reset");
    this.prng.pick(this.world.edges).reset(this.prng.below(3));
  }
}
