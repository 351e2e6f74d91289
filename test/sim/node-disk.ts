import type { Prng } from "#replica/base/prng.ts";
import type { NodeWorld } from "./node-world.ts";
import { SectorDisk } from "./sector-disk.ts";

/** Which computer a disk is in, the newest op that its log held, and what its identifiers say. */
export interface DiskOwner {
  readonly index: number;
  readonly headSeen: number;
  readonly truth: { named(slot: number): boolean };
}

/** The disk of one computer: latencies of the swarm, faults of the atlas. */
export function nodeDisk(
  owner: DiskOwner,
  world: NodeWorld,
  prng: Prng,
  after: (delayMs: number, run: () => void) => void,
): SectorDisk {
  const { index } = owner;
  const { slotBytes, disk } = world.swarm;
  return new SectorDisk({
    prng: prng.fork(),
    after,
    latencyMs: () => {
      const delayMs = disk.minMs - disk.meanMs * Math.log(1 - prng.fraction());
      if (disk.spike === 0 || world.atlas.calm || !prng.chance(disk.spike)) return delayMs;
      world.coverage.add("fault slow_disk");
      return delayMs + 2000 * prng.fraction();
    },
    writeFate: (name, offset) => world.atlas.writeFate(index, name, offset),
    readFate: (name, offset, bytes) => {
      return world.atlas.readFate(index, name, offset, bytes, owner.headSeen);
    },
    misdirect: (_name, offset) => world.atlas.misdirect(offset),
    named: (offset) => owner.truth.named(Math.floor(offset / slotBytes)),
    note: (what) => world.line("fault", index, what),
  });
}
