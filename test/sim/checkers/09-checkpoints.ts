import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 9: a checkpoint of an op has one id and one root, which digests all of its plaintext,
 * on whichever replica it is taken or to whichever it was synced.
 */
export class Checkpoints {
  private readonly known = new Map<number, CheckpointDescriptor>();

  /** A replica's superblock names a checkpoint. */
  named(replica: number, checkpoint: CheckpointDescriptor): void {
    const known = this.known.get(checkpoint.op);
    if (known === undefined) {
      this.known.set(checkpoint.op, checkpoint);
      return;
    }
    if (known.id === checkpoint.id && known.root === checkpoint.root) return;
    throw new Violation(`9 determinism: checkpoint ${checkpoint.op} (replica ${replica})`);
  }

  /** Checkpoints seen. */
  get count(): number {
    return this.known.size;
  }
}
