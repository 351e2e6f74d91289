import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import {
  decodeSuperblockCopy,
  encodeSuperblock,
  superblockCopies,
  superblockCopyBytes,
} from "#replica/journal/superblock-copies.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import type { ScrubFinding } from "./scrubber.ts";
import type { Volume } from "./volume.ts";

declare const MUTATIONS: boolean | undefined;

const zone = { kind: "superblock" } as const;
const pairBytes = 2 * superblockCopyBytes;

/** Writes the superblock: four copies, two and two, the newest of queued states wins. */
export class SuperblockWriter {
  private readonly volume: Volume;
  private readonly identifiers: {
    /** Runs its argument once every identifier of a prepare durable by now is durable too. */
    readonly barrier: (done: () => void) => void;
    /** Hears of every superblock that became durable, before anyone else. */
    readonly durable: (state: SuperblockState) => void;
  };
  private readonly buffer = new Uint8Array(superblockCopies * superblockCopyBytes);
  private number: number;
  private parent: Checksum;
  /** What the durable superblock names as its parent; null before any. */
  private grandparent: Checksum | null;
  private last: SuperblockState | null;
  private queued: { readonly state: SuperblockState; readonly dones: (() => void)[] } | null = null;
  private writing: SuperblockState | null = null;
  private waiters: { readonly checkpointOp: number; readonly run: () => void }[] = [];

  /** `number` and `checksum` of the superblock that is durable now; 0 and zeros before any. */
  constructor(
    volume: Volume,
    durable: {
      readonly number: number;
      readonly checksum: Checksum;
      readonly state: SuperblockState | null;
      readonly parent: Checksum | null;
    },
    identifiers: SuperblockWriter["identifiers"],
  ) {
    this.volume = volume;
    this.number = durable.number;
    this.parent = durable.checksum;
    this.last = durable.state;
    this.grandparent = durable.parent;
    this.identifiers = identifiers;
  }

  /** Queues a state; replaces a queued one, whose caller is told when this newer one is durable. */
  write(state: SuperblockState, done: () => void): void {
    const before = this.queued?.state ?? this.writing ?? this.last;
    if (before !== null) this.checkForward(before, state);
    const dones = this.queued?.dones ?? [];
    dones.push(done);
    this.queued = { state, dones };
    this.pump();
  }

  /**
   * Runs once a superblock whose checkpoint has reached `op` is durable; at once when it is. The
   * caller has queued such a superblock: a slot above checkpoint + N would make the volume one
   * of two moments, which is refused at open.
   */
  afterCheckpoint(op: number, run: () => void): void {
    if (checkpointOf(this.last) >= op) {
      run();
      return;
    }
    const coming = Math.max(checkpointOf(this.writing), checkpointOf(this.queued?.state ?? null));
    assert(coming >= op, `STO-10: no checkpoint has reached op ${op}`);
    this.waiters.push({ checkpointOp: op, run });
  }

  /**
   * Looks at one copy and writes it again, byte for byte, when it is not the durable superblock.
   * Nothing is looked at while a state is being written; a write asked for meanwhile waits.
   */
  scrub(copy: number, done: (finding: ScrubFinding) => void): void {
    const { tools, geometry } = this.volume;
    const { last, grandparent } = this;
    if (this.writing !== null || this.queued !== null || last === null || grandparent === null) {
      tools.later(() => done({ bytes: 0, faults: 0 }));
      return;
    }
    this.writing = last;
    const offset = copy * superblockCopyBytes;
    const bytes = superblockCopyBytes;
    const finish = (faults: number): void => {
      this.writing = null;
      done({ bytes, faults });
      this.pump();
    };
    tools.disk.read(zone, offset, bytes, (found) => {
      const is = found === null ? null : decodeSuperblockCopy(tools, found, copy);
      if (is?.kind === "valid" && is.checksum === this.parent) {
        finish(0);
        return;
      }
      const content = { state: last, slotBytes: geometry.slotBytes };
      const link = { number: this.number, parent: grandparent };
      const checksum = encodeSuperblock(tools, content, link, this.buffer);
      assert(checksum === this.parent, "STO-12: a copy is written again as it was");
      const again = this.buffer.subarray(offset, offset + bytes);
      this.volume.write(zone, offset, again, () => finish(1));
    });
  }

  private wake(): void {
    const durable = checkpointOf(this.last);
    const ready = this.waiters.filter((waiter) => waiter.checkpointOp <= durable);
    if (ready.length === 0) return;
    this.waiters = this.waiters.filter((waiter) => waiter.checkpointOp > durable);
    for (const waiter of ready) waiter.run();
  }

  /** Views and knowledge that this volume promised never go back. */
  private checkForward(before: SuperblockState, state: SuperblockState): void {
    assert(state.sequence > before.sequence, "STO-05: sequence grows");
    assert(state.view >= before.view, "STO-05: view never goes back");
    assert(state.logView >= before.logView, "STO-05: log_view never goes back");
    assert(state.logView <= state.view, "STO-05: log_view is at most view");
    assert(state.checkpoint.op >= before.checkpoint.op, "STO-05: checkpoint never goes back");
    assert(state.identity.incarnation === before.identity.incarnation, "STO-05: same volume");
  }

  private pump(): void {
    if (this.writing !== null || this.queued === null) return;
    this.writing = this.queued.state;
    const hasty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("skip_barrier");
    const barrier = hasty ? (run: () => void): void => run() : this.identifiers.barrier;
    barrier(() => {
      const next = this.queued;
      assert(next !== null, "STO-05: a state is queued");
      this.queued = null;
      this.writing = next.state;
      this.writePairs(next.state, next.dones);
    });
  }

  private writePairs(state: SuperblockState, dones: readonly (() => void)[]): void {
    const { slotBytes } = this.volume.geometry;
    const link = { number: this.number + 1, parent: this.parent };
    const checksum = encodeSuperblock(this.volume.tools, { state, slotBytes }, link, this.buffer);
    const { buffer } = this;
    this.volume.write(zone, 0, buffer.subarray(0, pairBytes), () => {
      this.volume.write(zone, pairBytes, buffer.subarray(pairBytes), () => {
        this.grandparent = link.parent;
        this.number = link.number;
        this.parent = checksum;
        this.last = state;
        this.identifiers.durable(state);
        this.writing = null;
        this.wake();
        for (const done of dones) done();
        this.pump();
      });
    });
  }
}

function checkpointOf(state: SuperblockState | null): Op | -1 {
  return state === null ? -1 : state.checkpoint.op;
}
