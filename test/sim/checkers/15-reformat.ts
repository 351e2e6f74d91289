import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 15: a replica whose volume was formatted in the place of a lost one keeps silent, neither
 * suspecting nor voting nor acking, until its superblock says that it has caught up; and then it
 * speaks only in views from its floor up.
 */
export class Reformat {
  private readonly replica: number;
  private durable: SuperblockState | null = null;

  constructor(replica: number) {
    this.replica = replica;
  }

  /** A superblock is durable. */
  wrote(state: SuperblockState): void {
    const before = this.durable;
    if (before?.recovering === true && !state.recovering) {
      // What it acked before the loss was decided below its floor.
      if (state.checkpoint.op <= 0) this.fail("votes again without a checkpoint");
    }
    this.durable = state;
  }

  /** A message leaves. */
  sent(message: PeerMessage): void {
    const { durable } = this;
    const votes =
      message.kind === "do_view_change" ||
      message.kind === "start_view_change" ||
      message.kind === "prepare_ok";
    if (!votes || durable === null) return;
    if (durable.recovering) this.fail(`${message.kind} while recovering`);
    if (message.view < durable.voteFloor) this.fail(`${message.kind} below its floor`);
  }

  private fail(what: string): never {
    throw new Violation(`15 reformat: ${what} (replica ${this.replica})`);
  }
}
