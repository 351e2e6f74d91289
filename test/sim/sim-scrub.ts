import type { Host } from "#replica/server/host.ts";
import type { ReplicaStorage } from "#replica/storage/replica-storage.ts";
import { Scrubber, scrubZones } from "#replica/storage/scrubber.ts";
import type { NodeWorld } from "./node-world.ts";

/** Between two looks whether scrubbing may go on, ms. */
const pauseMs = 50;

/** The process whose disk is scrubbed. */
export interface Scrubbed {
  readonly index: number;
  readonly nowMs: number;
  readonly host: Host | null;
  /** Runs something later, unless the process has ended. */
  later(delayMs: number, run: () => void): void;
  /** Something happens to the host. */
  enter(run: (host: Host) => void): void;
}

/** Scrubs like production's process, under virtual time, until the process ends. */
export function scrubLater(node: Scrubbed, storage: ReplicaStorage, world: NodeWorld): void {
  const { scrubBytesPerS } = world.swarm;
  if (scrubBytesPerS === 0) return;
  const scrubber = new Scrubber(
    {
      storage,
      nowMs: () => node.nowMs,
      readBlock: (segment, block, done) => {
        const blocks = node.host?.blocks;
        const before = blocks?.repairedCount ?? 0;
        blocks?.load([{ segment, block }], (loaded) => {
          const bytes = loaded?.[0]?.length ?? 0;
          done({ bytes, faults: Math.min(1, blocks.repairedCount - before) });
        });
      },
      slotFault: (fault) => node.enter((host) => host.onSlotFault(fault)),
    },
    scrubBytesPerS,
  );
  const seen = { ...scrubber.counts.faults };
  const turn = (): void => {
    const { host } = node;
    if (host?.replica.status !== "normal" || host.syncing) {
      node.later(pauseMs, turn);
      return;
    }
    scrubber.tick(() => {
      for (const zone of scrubZones) {
        const faults = scrubber.counts.faults[zone];
        if (faults > seen[zone]) {
          world.coverage.add(`state scrub_found_${zone}`);
          world.line("disk", node.index, `scrub found damage in ${zone}`);
        }
        seen[zone] = faults;
      }
      node.later(Math.max(1, scrubber.deadlineMs - node.nowMs), turn);
    });
  };
  node.later(pauseMs, turn);
}
