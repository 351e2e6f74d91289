import { Prng } from "#replica/base/prng.ts";
import { machineVersions } from "#replica/machine/machine-state.ts";
import { askUpgrade } from "#replica/server/ask-upgrade.ts";
import type { Coverage } from "./coverage.ts";
import type { Heap } from "./heap.ts";
import type { SimNode } from "./sim-node.ts";
import type { Swarm } from "./swarm.ts";

/** Between two looks, ms. */
const lookMs = 20;
/** How long a process is away while its build is changed, ms. */
const awayMs = 15;
/** A build of before. */
const oldBuild = { min: machineVersions.min, max: machineVersions.min };

/** What the upgrader works in. */
export interface UpgraderWorld {
  readonly heap: Heap;
  readonly swarm: Swarm;
  readonly coverage: Coverage;
  readonly nodes: readonly SimNode[];
}

/**
 * Who runs the fleet: gives the processes newer builds, one after another, and asks the primary for
 * the newest version of the machine until it runs (rule A12). Makes mistakes.
 */
export class Upgrader {
  private readonly world: UpgraderWorld;
  private readonly prng: Prng;
  /** An upgrade was taken, and is not yet seen to be done. */
  private asked = false;
  /** An upgrade was taken at any time. */
  private begun = false;
  private stopped = false;

  constructor(world: UpgraderWorld, seed: number) {
    this.world = world;
    this.prng = new Prng(seed + 2);
    const { upgradeAfterMs, oldBuilds } = world.swarm;
    if (upgradeAfterMs === Infinity || !oldBuilds) return;
    for (const node of world.nodes) node.build = oldBuild;
  }

  /** Looks now and then, for ever. */
  start(): void {
    const { heap, swarm } = this.world;
    if (swarm.upgradeAfterMs === Infinity) return;
    const look = (): void => {
      if (this.stopped) return;
      this.look();
      heap.after(lookMs, look);
    };
    heap.after(swarm.upgradeAfterMs, look);
  }

  /** Nothing more is asked, nobody restarted. */
  stop(): void {
    this.stopped = true;
  }

  private look(): void {
    const { nodes, swarm, coverage } = this.world;
    const older = nodes.find((node) => node.build.max < machineVersions.max);
    if (older !== undefined && this.prng.chance(0.5)) {
      coverage.add("fault newer_build");
      this.restart(older, machineVersions);
      return;
    }
    if (this.begun && this.prng.chance(swarm.wrongBuild)) {
      this.restart(this.prng.pick(nodes), oldBuild);
      return;
    }
    for (const node of nodes) {
      const replica = node.host?.replica;
      if (replica?.status !== "normal" || replica.primary !== node.index) continue;
      const { max } = machineVersions;
      const outcome = node.ask((host) => host.command((core, step) => askUpgrade(core, step, max)));
      if (outcome === "pending") this.asked = this.begun = true;
      if (outcome === "done" && this.asked) {
        coverage.add("fault upgrade");
        this.asked = false;
      }
    }
  }

  private restart(node: SimNode, build: SimNode["build"]): void {
    node.build = build;
    if (!node.up) return;
    node.crash();
    const { life } = node;
    this.world.heap.after(awayMs, () => {
      if (node.life === life) node.start();
    });
  }
}
