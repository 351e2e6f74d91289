import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 9: a checkpoint of an op has one id and one root, which digests all of its plaintext,
 * on whichever replica it is taken or to whichever it was synced.
 */
export class Checkpoints {
  private readonly known = new Map<number, CheckpointDescriptor>();
  /** Highest checkpoint that each replica ever had durable. */
  private readonly highest = [0, 0, 0];

  private readonly agreed: () => void;

  /** `agreed`: another replica came to the same checkpoint. */
  constructor(agreed: () => void) {
    this.agreed = agreed;
  }

  /** A replica's superblock names a checkpoint. */
  named(replica: number, checkpoint: CheckpointDescriptor): void {
    const highest = this.highest[replica] ?? 0;
    const news = checkpoint.op > highest;
    if (news) this.highest[replica] = checkpoint.op;
    const known = this.known.get(checkpoint.op);
    if (known === undefined) {
      this.known.set(checkpoint.op, checkpoint);
      return;
    }
    if (known.id === checkpoint.id && known.root === checkpoint.root) {
      if (news) this.agreed();
      return;
    }
    throw new Violation(`9 determinism: checkpoint ${checkpoint.op} (replica ${replica})`);
  }

  /** A replica says what checkpoint two of three have. */
  quorum(replica: number, op: number): void {
    if (this.highest.filter((own) => own >= op).length >= 2) return;
    throw new Violation(`9 determinism: no two have checkpoint ${op} (replica ${replica})`);
  }

  /** Checkpoints seen. */
  get count(): number {
    return this.known.size;
  }
}
