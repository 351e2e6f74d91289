import type { Checksum } from "#replica/base/brands.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { History } from "./checkers/01-history.ts";
import { Invention } from "./checkers/02-invention.ts";
import { ExactlyOnce } from "./checkers/03-exactly-once.ts";
import { type ModelRules, Replies } from "./checkers/04-replies.ts";
import { Promises } from "./checkers/05-promises.ts";
import { DurableAcks } from "./checkers/06-durable-acks.ts";
import { CommitCopies } from "./checkers/07-commit-copies.ts";
import { Nacks } from "./checkers/08-nacks.ts";
import { Checkpoints } from "./checkers/09-checkpoints.ts";
import { Timestamps } from "./checkers/11-timestamps.ts";
import { Nonces } from "./checkers/12-nonces.ts";
import { Bounds } from "./checkers/13-bounds.ts";
import { ClientLog } from "./checkers/14-client-log.ts";
import { Reformat } from "./checkers/15-reformat.ts";
import { Versions } from "./checkers/16-versions.ts";
import { ProofJudge } from "./checkers/17-proofs.ts";
import type { Subject } from "./checkers/subject.ts";
import { lab } from "./formation.ts";
import { simProofCrypto } from "./sim-signer.ts";

/** The checkers of one run and what each of them is told; checker 10 runs at rest only. */
export class Judges {
  readonly history: History;
  readonly invention: Invention;
  readonly once = new ExactlyOnce();
  readonly replies: Replies;
  readonly promises = [0, 1, 2].map((index) => new Promises(index));
  readonly acks = new DurableAcks();
  readonly copies = new CommitCopies();
  readonly nacks = [0, 1, 2].map((index) => new Nacks(index));
  readonly checkpoints: Checkpoints;
  readonly timestamps = new Timestamps();
  readonly nonces = new Nonces();
  readonly bounds = new Bounds();
  readonly proofs = new ProofJudge(simProofCrypto, lab.origin);
  readonly log: ClientLog;
  readonly reformat = [0, 1, 2].map((index) => new Reformat(index));
  readonly versions = new Versions();
  /** Highest op that any replica knows to be committed. */
  committedOp = 0;
  /** Superblocks that each replica made durable. */
  readonly superblocks = [0, 0, 0];
  private subjects: readonly Subject[] = [];
  private readonly formedOnes = new Set<number>();

  /** `count` is told of each operation and its answer, and of checkpoints that agree. */
  constructor(
    root: PrepareHeader,
    emptyChecksum: Checksum,
    rules: ModelRules,
    count: (what: string) => void,
  ) {
    this.history = new History(root);
    this.invention = new Invention(emptyChecksum);
    const answer = (what: string): void => count(`answer ${what}`);
    this.replies = new Replies(rules, this.once, this.proofs, answer);
    this.checkpoints = new Checkpoints(() => count("state checkpoint_agreed"));
    this.log = new ClientLog((room) => this.replies.logs.get(room));
  }

  /** All three have recorded their formation, and a log has begun. */
  get formed(): boolean {
    return this.formedOnes.size === 3 && this.history.head >= 2;
  }

  /** The machines; once, before anything happens. */
  watch(subjects: readonly Subject[]): void {
    this.subjects = subjects;
  }

  /** A process opened its volume. */
  started(subject: Subject, superblock: SuperblockState): void {
    const { index } = subject;
    this.promises[index]?.started(superblock.view, superblock.logView);
    this.promises[index]?.durable(superblock.logView);
    this.nacks[index]?.started(subject);
    this.reformat[index]?.wrote(superblock, null);
  }

  /** A message leaves a replica. */
  sent(subject: Subject, message: PeerMessage): void {
    const { index } = subject;
    this.stepped(subject);
    this.promises[index]?.sent(message);
    this.reformat[index]?.sent(message, this.history.head);
    if (message.kind === "do_view_change") this.nacks[index]?.votes(message);
    if (message.kind === "commit") this.checkpoints.quorum(index, message.quorumCheckpointOp);
    if (message.kind === "cosign") {
      this.proofs.signed(index, message.size, message.root, subject.signedSize);
    }
    if (message.kind !== "prepare_ok") return;
    const covered = this.acks.covered(message, subject, this.committedOp);
    this.copies.ack(index, message.view, message.op);
    this.nacks[index]?.acks(covered, this.committedOp);
  }

  /** A machine of that version applied an op, at this virtual time. */
  executed(
    subject: Subject,
    prepare: Prepare,
    replies: readonly Uint8Array[],
    version: number,
    nowMs: number,
  ): boolean {
    this.versions.executed(subject.index, prepare.header, version);
    const first = this.history.executed(subject.index, prepare);
    if (first) {
      this.timestamps.executed(prepare.header, nowMs);
      this.copies.executed(prepare, this.subjects);
      const reader = new RequestReader(prepare.body);
      while (reader.next()) {
        const { header } = reader;
        this.invention.committed(header);
        this.once.committed(header, prepare.header.op);
      }
    }
    this.replies.executed(prepare, replies, first);
    return first;
  }

  /** A prepare is handed to the storage. */
  writes(subject: Subject, header: PrepareHeader): void {
    this.promises[subject.index]?.writes(header.op, header.view);
  }

  /** A superblock became durable. */
  wrote(subject: Subject, state: SuperblockState): void {
    this.promises[subject.index]?.durable(state.logView);
    this.superblocks[subject.index] = (this.superblocks[subject.index] ?? 0) + 1;
    if (state.standing.lives.length > 0) this.formedOnes.add(subject.index);
    this.checkpoints.named(subject.index, state.checkpoint);
    this.reformat[subject.index]?.wrote(state, subject.host?.replica.commitMin ?? null);
  }

  /** After any step of a replica, and before what it sends. */
  stepped(subject: Subject): void {
    const replica = subject.host?.replica;
    if (replica === undefined) return;
    this.nacks[subject.index]?.stepped(subject);
    if (replica.commitMax > this.committedOp) this.committedOp = replica.commitMax;
    this.copies.stepped(subject);
  }

  /** A volume became an older one, or an empty one: its promises went with it. */
  rolledBack(index: number, head: number): void {
    this.promises[index]?.forget();
    this.nacks[index]?.forget();
    this.reformat[index]?.lost(head);
  }
}
