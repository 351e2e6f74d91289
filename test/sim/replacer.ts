import { incarnationFrom, type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";
import { askReplacement } from "#replica/server/ask-replacement.ts";
import type { Coverage } from "./coverage.ts";
import { replacementVolume } from "./formation.ts";
import type { Heap } from "./heap.ts";
import type { SimNode } from "./sim-node.ts";
import type { Swarm } from "./swarm.ts";

/** Between two looks of the operator, ms. */
const lookMs = 25;

/** What the operator works in. */
export interface ReplacerWorld {
  readonly heap: Heap;
  readonly swarm: Swarm;
  readonly coverage: Coverage;
  readonly nodes: readonly SimNode[];
  /** A replica has another key from now on. */
  readonly member: (replica: number, publicKey: string) => void;
  /** The lost disk was replaced: the new one is sound. */
  readonly replaced: () => void;
}

/**
 * The operator of the simulation: has a lost disk replaced by the commands of rule A11, and now and
 * then one that is alive and votes until it learns of its end.
 */
export class Replacer {
  private readonly world: ReplacerWorld;
  /** A replacement was taken by a primary, and is not done yet. */
  pending = false;
  private lostMs = -1;
  private retired = false;
  private incarnations = 0;
  private asked: { index: ReplicaIndex; member: Member } | null = null;

  constructor(world: ReplacerWorld) {
    this.world = world;
  }

  /** Looks now and then, for ever. */
  start(): void {
    const { heap, swarm } = this.world;
    if (swarm.replaceAfterMs === Infinity && swarm.retireAtMs === Infinity) return;
    const look = (): void => {
      this.look();
      heap.after(lookMs, look);
    };
    heap.after(lookMs, look);
  }

  private look(): void {
    const { heap, nodes, swarm } = this.world;
    const lost = nodes.find((node) => node.lost !== null || node.host?.replica.status === "lost");
    const leaving = lost ?? this.leaving();
    this.pending = false;
    if (leaving === null) {
      this.lostMs = -1;
      this.asked = null;
      return;
    }
    if (lost !== undefined) {
      if (this.lostMs < 0) this.lostMs = heap.nowMs;
      if (heap.nowMs - this.lostMs < swarm.replaceAfterMs) return;
    }
    const primary = nodes.find((node) => {
      const replica = node.host?.replica;
      return node !== leaving && replica?.status === "normal" && replica.primary === node.index;
    });
    if (primary !== undefined) this.replace(leaving, primary);
    else if (lost === undefined) leaving.transfer(replicaFrom((leaving.index + 1) % 3));
  }

  /** The machine that is replaced though it works; null when there is none, or it is done. */
  private leaving(): SimNode | null {
    const { heap, nodes, swarm } = this.world;
    if (this.retired || heap.nowMs < swarm.retireAtMs) return null;
    return nodes[swarm.badMachine] ?? null;
  }

  private replace(lost: SimNode, primary: SimNode): void {
    const { swarm, coverage } = this.world;
    if (this.asked?.index !== lost.index) {
      this.incarnations += 1;
      const incarnation = incarnationFrom(`${this.incarnations}${lost.index}`.padStart(32, "b"));
      const publicKey = `a${this.incarnations % 10}`.repeat(32);
      const member = { replica: lost.index, incarnation, publicKey };
      this.asked = { index: lost.index, member };
    }
    const { member } = this.asked;
    const answer = primary.ask((host) => {
      const done = host.command((replica, step) => askReplacement(replica, step, member));
      return { done, members: host.replica.members };
    });
    if (answer === null) return;
    this.pending = answer.done === "pending";
    if (answer.done === "pending" || "refused" in answer.done) return;
    this.retired ||= lost.index === swarm.badMachine;
    const replacement = { members: answer.members, ...answer.done };
    const volume = replacementVolume(lost.index, swarm, replacement);
    coverage.add("fault replaced_disk");
    this.world.member(lost.index, member.publicKey);
    lost.replaceDisk(volume, member.publicKey);
    this.asked = null;
    this.world.replaced();
  }
}

type Member = Parameters<typeof askReplacement>[2];
