import { Prng } from "#replica/base/prng.ts";
import { askRekey } from "#replica/server/ask-rekey.ts";
import type { Member } from "#replica/wire/superblock.ts";
import type { Coverage } from "./coverage.ts";
import type { Heap } from "./heap.ts";
import type { SimNode } from "./sim-node.ts";
import type { Swarm } from "./swarm.ts";

/** Share of runs in which keys change. */
const share = 0.25;

/** What the rotator works in. */
export interface RotatorWorld {
  readonly heap: Heap;
  readonly coverage: Coverage;
  readonly nodes: readonly SimNode[];
  readonly swarm: Swarm;
  /** A replica may have another key from now on. */
  readonly member: (replica: number, publicKey: string) => void;
}

/** The operator of the simulation who has replicas' keys changed on their volumes (REKEY). */
export class Rotator {
  private readonly world: RotatorWorld;
  private readonly prng: Prng;
  private asked: Omit<Member, "replaceOp"> | null = null;
  private turns = 0;
  private stopped = false;

  constructor(world: RotatorWorld, seed: number) {
    this.world = world;
    this.prng = new Prng(seed + 3);
  }

  /** Looks now and then, in some runs. */
  start(): void {
    if (!this.prng.chance(share) || this.world.swarm.keysChange === false) return;
    const everyMs = this.prng.pick([15, 60, 250]);
    const look = (): void => {
      if (this.stopped) return;
      this.look();
      this.world.heap.after(everyMs, look);
    };
    this.world.heap.after(everyMs, look);
  }

  /** Nothing more is asked. */
  stop(): void {
    this.stopped = true;
  }

  private look(): void {
    const { nodes, coverage } = this.world;
    const primary = nodes.find((node) => {
      const replica = node.host?.replica;
      return replica?.status === "normal" && replica.primary === node.index;
    });
    if (primary === undefined) return;
    // A primary that died may have taken it with it; who makes up his mind asks for another.
    if (this.asked === null || this.prng.chance(0.1)) this.asked = this.next(primary);
    const member = this.asked;
    if (member === null) return;
    const outcome = primary.ask((host) => {
      return host.command((replica, step) => askRekey(replica, step, member));
    });
    if (outcome !== "done") return;
    coverage.add("fault rekey");
    if (primary.index === member.replica) coverage.add("fault rekey_of_primary");
    this.asked = null;
  }

  /** The next key of somebody, made after his volume's incarnation: his alone. */
  private next(primary: SimNode): Omit<Member, "replaceOp"> | null {
    const before = primary.host?.replica.members[this.prng.below(3)];
    if (before === undefined) return null;
    this.turns += 1;
    const { replica, incarnation } = before;
    const publicKey = incarnation + String(this.turns).padStart(32, "0");
    this.world.member(replica, publicKey);
    return { replica, incarnation, publicKey };
  }
}
