import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { checksumFrom } from "#replica/base/brands.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import type { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { BlockAddress, LoadedBlock } from "#replica/machine/port.ts";
import type { Prover, ProveStep } from "#replica/machine/prover.ts";
import type { TreeJob, TreeResult } from "#replica/machine/tree-job.ts";
import { formatConsistency } from "#replica/proof/consistency.ts";
import { formatLogProof } from "#replica/proof/log-proof.ts";
import type { KeyTenure } from "#replica/proof/key-list.ts";
import { formatKeyList } from "#replica/proof/key-list.ts";
import { formatReceipt } from "#replica/proof/receipt.ts";
import { formatExportHeader } from "#replica/proof/room-export.ts";
import type { ProofQuestion, RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import type { BlockStore } from "./block-store.ts";
import type { Cosign, CosigningOptions } from "./cosigning.ts";
import { Cosigning } from "./cosigning.ts";

/** Entries of one job of hashing, about: some milliseconds of work elsewhere. */
const jobEntriesMax = 4_096;
/** Times that one proof may ask for blocks. */
const roundsMax = 8;
/** Proofs that wait for blocks at most; a further one is answered busy. */
const provingMax = 16;

/** Does a job of hashing, sooner or later; `done` may be called inside this call. */
export type HashTrees = (job: TreeJob, done: (result: TreeResult) => void) => void;

/** What proofs need of their host. */
export interface ProofsOptions extends CosigningOptions {
  readonly machine: ChatMachine;
  readonly blocks: () => BlockStore;
  readonly hashTrees: HashTrees;
  /** An idle shard's last entries wait this long for the op that closes their second, ms. */
  readonly pulseAfterMs: number;
  /** Keys of the members now and before; null while one is not known. */
  readonly tenures: () => readonly KeyTenure[] | null;
  /** The shard is idle and entries wait: an op that says nothing closes their second. */
  readonly pulse: () => void;
  readonly wake: () => void;
  /** Calls `run` once, after this call, when other events had their turn. */
  readonly later: (run: () => void) => void;
}

/** How the making of a proof ended. */
type Proven<T> =
  | Exclude<ProveStep<T>, { readonly kind: "load" | "more" }>
  | { readonly kind: "busy" };

/** Answer to a question: text, or why not. */
export type ProofAnswer = (answer: RoomAnswer, text: Uint8Array) => void;

const nothing = new Uint8Array(0);

/**
 * Has what was committed hashed, and its heads signed, and answers questions for proofs. All of
 * it is off the commit path; a checkpoint waits until its entries are hashed.
 */
export class Proofs {
  readonly cosigning: Cosigning;
  private readonly options: ProofsOptions;
  /** True while blocks are loaded or a job is done elsewhere. */
  private busy = false;
  private proving = 0;
  /** Grows with every restored state: what was asked of the old one no longer counts. */
  private state = 0;
  /** True once this history was found to extend what was signed before the start. */
  private extended = false;
  private checking = false;
  private committedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ProofsOptions) {
    this.options = options;
    this.cosigning = new Cosigning(options);
    this.extended = this.cosigning.mark === null;
    this.committedMs = options.nowMs();
  }

  /** True while {@link work} would do something. */
  get workWanted(): boolean {
    return !this.busy && (this.options.machine.ledger?.workWanted ?? false);
  }

  /** True while a checkpoint must wait for trees. */
  get behind(): boolean {
    return this.busy || (this.options.machine.ledger?.workWanted ?? false);
  }

  /** When {@link tick} is wanted, monotonic ms; Infinity = never. */
  get deadlineMs(): number {
    const waiting = this.options.machine.ledger?.waiting ?? false;
    const pulseMs = waiting
      ? this.committedMs + this.options.pulseAfterMs
      : Number.POSITIVE_INFINITY;
    return Math.min(pulseMs, this.cosigning.deadlineMs);
  }

  /** Time has come to {@link deadlineMs}. */
  tick(nowMs: number): void {
    this.cosigning.tick();
    const waiting = this.options.machine.ledger?.waiting ?? false;
    if (!waiting || nowMs < this.committedMs + this.options.pulseAfterMs) return;
    // Not again before another second, whether this helps or not.
    this.committedMs = nowMs;
    this.options.pulse();
  }

  /** An op was applied. */
  committed(): void {
    this.committedMs = this.options.nowMs();
  }

  /** The next job of hashing, or what it needs. */
  work(): void {
    const { ledger } = this.options.machine;
    if (ledger === null || this.busy) return;
    const step = ledger.step(jobEntriesMax);
    for (const head of ledger.drainHeads()) this.sign(head);
    if (step.kind === "load") this.load(step.addresses);
    if (step.kind === "hash") this.hash(step.job);
  }

  private load(addresses: readonly BlockAddress[]): void {
    const { state } = this;
    this.busy = true;
    this.options.blocks().load(addresses, (blocks) => {
      if (state !== this.state) return;
      this.busy = false;
      // Null when one was merged away meanwhile: the next step names the blocks of now.
      if (blocks !== null) this.options.machine.ledger?.loaded(together(addresses, blocks));
      this.options.wake();
    });
  }

  private hash(job: TreeJob): void {
    const { state } = this;
    this.busy = true;
    this.options.hashTrees(job, (result) => {
      // A state sync has made this the hashing of another history.
      if (state !== this.state) return;
      this.busy = false;
      this.options.machine.ledger?.hashed(result);
      this.options.wake();
    });
  }

  /** A state sync has replaced the machine's state. */
  restored(): void {
    this.state += 1;
    this.busy = false;
    this.proving = 0;
    this.checking = false;
    this.extended = this.cosigning.mark === null;
  }

  /** A peer's cosignature. */
  onCosign(from: ReplicaIndex, cosign: Cosign): void {
    this.cosigning.receive(from, cosign);
    this.options.wake();
  }

  private sign(head: Parameters<Cosigning["sign"]>[0]): void {
    if (this.extended) {
      this.cosigning.sign(head);
      return;
    }
    const { mark } = this.cosigning;
    assert(mark !== null, "SRV-11: only what was signed before needs to be extended");
    // The replay of the log has not come to what was signed before the start.
    if (this.checking || head.size < mark.size) return;
    this.checking = true;
    this.prove(
      (prover) => prover.root(mark.size),
      (step) => {
        this.checking = false;
        if (step.kind !== "done") return;
        this.extended = checksumFrom(hexFrom(step.value)) === mark.root;
        if (this.extended) this.cosigning.sign(head);
        else this.cosigning.fork(`${mark.size} leaves were signed with another root`);
      },
    );
  }

  /** Runs a prover as often as it needs blocks, or turns. */
  private prove<T>(
    make: (prover: Prover) => ProveStep<T>,
    done: (step: Proven<T>) => void,
    loaded: readonly LoadedBlock[] = [],
    round = 0,
  ): void {
    const prover = this.options.machine.prover(loaded);
    if (prover === null) {
      done({ kind: "pending" });
      return;
    }
    const step = make(prover);
    if (step.kind !== "load" && step.kind !== "more") {
      done(step);
      return;
    }
    if (round >= roundsMax || this.proving >= provingMax) {
      done({ kind: "busy" });
      return;
    }
    const { state } = this;
    this.proving += 1;
    if (step.kind === "more") {
      this.options.later(() => {
        if (state !== this.state) {
          done({ kind: "pending" });
          return;
        }
        this.proving -= 1;
        this.prove(make, done, loaded);
      });
      return;
    }
    this.options.blocks().load(step.addresses, (blocks) => {
      if (state !== this.state || blocks === null) {
        if (state === this.state) this.proving -= 1;
        done({ kind: "pending" });
        return;
      }
      this.proving -= 1;
      this.prove(make, done, [...loaded, ...together(step.addresses, blocks)], round + 1);
    });
  }

  /** Answers a question; `answer` may be called inside this call. */
  answer(name: RoomName, question: ProofQuestion, answer: ProofAnswer): void {
    const { machine } = this.options;
    const room = machine.room(name);
    const { latest } = this.cosigning;
    if (room.code !== "ok") {
      answer(room, nothing);
      return;
    }
    if (question.kind === "keys") {
      const tenures = this.options.tenures();
      const { origin, ports } = this.options;
      if (tenures === null) answer({ code: "not_ready" }, nothing);
      else answer(room, utf8From(formatKeyList(ports.tools.sha256, origin, tenures)));
      return;
    }
    if (latest === null) {
      answer({ code: "not_ready" }, nothing);
      return;
    }
    const { size, text } = latest;
    const give = (step: Proven<string>): void => {
      if (step.kind === "done") answer(room, utf8From(step.value));
      else if (step.kind === "no_entry") answer(room, nothing);
      else if (step.kind === "no_room" || step.kind === "busy")
        answer({ code: step.kind }, nothing);
      else answer({ code: "not_ready" }, nothing);
    };
    const { seq } = question;
    switch (question.kind) {
      case "checkpoint":
        give({ kind: "done", value: text });
        return;
      case "receipt":
        this.prove((prover) => receiptOf(prover.receipt(name, seq, size), text), give);
        return;
      case "consistency":
        this.prove((prover) => consistencyOf(prover.consistency(seq, size), seq, text), give);
        return;
      case "export":
        this.prove((prover) => headerOf(prover.room(name, size), name, text), give);
        return;
      default:
        question.kind satisfies never;
    }
  }
}

function together(
  addresses: readonly BlockAddress[],
  blocks: readonly Uint8Array[],
): readonly LoadedBlock[] {
  return addresses.map((address, index) => {
    const bytes = blocks[index];
    assert(bytes !== undefined, "SRV-02: as many blocks as addresses");
    return { address, bytes };
  });
}

function mapped<T>(step: ProveStep<T>, text: (value: T) => string): ProveStep<string> {
  return step.kind === "done" ? { kind: "done", value: text(step.value) } : step;
}

function receiptOf(step: ReturnType<Prover["receipt"]>, checkpoint: string): ProveStep<string> {
  return mapped(step, (receipt) => formatReceipt({ ...receipt, checkpoint }));
}

function consistencyOf(
  step: ReturnType<Prover["consistency"]>,
  oldSize: number,
  checkpoint: string,
): ProveStep<string> {
  return mapped(step, (hashes) => formatConsistency({ oldSize, hashes, checkpoint }));
}

function headerOf(
  step: ReturnType<Prover["room"]>,
  name: RoomName,
  checkpoint: string,
): ProveStep<string> {
  return mapped(step, ({ blind, first, frontier, size, logIndex, logProof }) => {
    const proof = formatLogProof({ extra: null, index: logIndex, hashes: logProof, checkpoint });
    return formatExportHeader({ name, blind, first, size, frontier, proof });
  });
}
