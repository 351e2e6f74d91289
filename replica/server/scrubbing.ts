import type { ReplicaStorage } from "#replica/storage/replica-storage.ts";
import { Scrubber, type ScrubCounts, type ScrubFinding } from "#replica/storage/scrubber.ts";
import type { Host } from "./host.ts";
import type { Log } from "./log.ts";

/** Bytes read a second unless the configuration says otherwise: a 64 MiB WAL in a minute. */
export const scrubBytesPerSDefault = 1024 * 1024;
/**
 * Between two looks whether scrubbing may go on, ms: while the replica is not in normal status. Its
 * pace is `scrub.bytesPerS` of the configuration.
 */
const pauseMs = 500;

/** Scrubbing of one running replica: a slice a turn of the event loop, in normal status only. */
export class Scrubbing {
  private readonly host: Host;
  private readonly scrubber: Scrubber;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  /** `bytesPerS`: bytes read a second at most. */
  constructor(host: Host, storage: ReplicaStorage, bytesPerS: number, log: Log) {
    this.host = host;
    const ports = {
      storage,
      nowMs: () => performance.now(),
      readBlock: (segment: string, block: number, done: (finding: ScrubFinding) => void) => {
        this.readBlock(segment, block, done);
      },
      slotFault: (fault: Parameters<Host["onSlotFault"]>[0]) => {
        log.warn("slot damaged", { op: fault.op });
        host.onSlotFault(fault);
      },
    };
    this.scrubber = new Scrubber(ports, bytesPerS);
  }

  /** Counters since the start. */
  get counts(): ScrubCounts {
    return this.scrubber.counts;
  }

  /** Begins the first round. */
  start(): void {
    this.arm(pauseMs);
  }

  /** Nothing is begun any more. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private arm(waitMs: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => this.turn(), waitMs);
    this.timer.unref();
  }

  private turn(): void {
    if (this.stopped) return;
    // Without a view there is nobody to repair from, and a restore replaces what would be read.
    const calm = this.host.replica.status === "normal" && !this.host.syncing;
    if (!calm) {
      this.arm(pauseMs);
      return;
    }
    this.scrubber.tick(() => {
      const waitMs = this.scrubber.deadlineMs - performance.now();
      // One turn of the event loop between two slices: others come first.
      if (waitMs <= 0 && !this.stopped) setImmediate(() => this.turn());
      else this.arm(Math.max(1, Math.ceil(waitMs)));
    });
  }

  /** A damaged block of a live segment is fetched from a peer on the way. */
  private readBlock(id: string, block: number, done: (finding: ScrubFinding) => void): void {
    const { blocks } = this.host;
    const repaired = blocks.repairedCount;
    blocks.load([{ segment: id, block }], (found) => {
      const bytes = found?.[0]?.length ?? 0;
      done({ bytes, faults: Math.min(1, blocks.repairedCount - repaired) });
    });
  }
}
