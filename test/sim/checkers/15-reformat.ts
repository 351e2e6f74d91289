import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 15: a replica whose volume was lost, or went back to an older copy, keeps silent, neither
 * suspecting nor voting nor acking, until its superblock says that it has caught up; it speaks only
 * in views from its floor up, and only after the cluster committed past what the old one may hold.
 */
export class Reformat {
  private readonly replica: number;
  private durable: SuperblockState | null = null;
  private lostHead = -1;
  private lostIncarnation = "";

  constructor(replica: number) {
    this.replica = replica;
  }

  /** The volume lost what it held up to this op. */
  lost(head: number): void {
    this.lostHead = Math.max(this.lostHead, head);
    this.lostIncarnation = this.durable?.identity.incarnation ?? this.lostIncarnation;
    this.durable = null;
  }

  /** A superblock is durable; `commitMin`: highest op that the process executed, if one runs. */
  wrote(state: SuperblockState, commitMin: number | null): void {
    const { learnOp } = state.standing;
    const learned = this.durable?.recovering === true && !state.recovering;
    if (learned && commitMin !== null && commitMin < learnOp) {
      this.fail(`a voter at op ${commitMin}, it must learn up to ${learnOp}`);
    }
    this.durable = state;
  }

  /** A message leaves. `committed`: highest op that any replica executed. */
  sent(message: PeerMessage, committed: number): void {
    const votes =
      message.kind === "do_view_change" ||
      message.kind === "start_view_change" ||
      message.kind === "prepare_ok";
    if (!votes) return;
    const { durable, lostHead } = this;
    if (durable?.recovering === true) this.fail(`${message.kind} while recovering`);
    if (message.view < (durable?.voteFloor ?? 0)) this.fail(`${message.kind} below its floor`);
    if (lostHead < 0) return;
    // A volume of another day has no vote at all: its incarnation was never replaced.
    if (durable?.identity.incarnation === this.lostIncarnation) {
      this.fail(`${message.kind} of a lost volume`);
    }
    if (committed < lostHead) this.fail(`${message.kind} before op ${lostHead} is decided`);
  }

  private fail(what: string): never {
    throw new Violation(`15 reformat: ${what} (replica ${this.replica})`);
  }
}
