import type { Prepare } from "#replica/wire/prepare.ts";
import type { SimDisk } from "./disk.ts";
import { Violation } from "./history.ts";

/** Checker 7: at its first execution an op lies on two disks, or under a checkpoint there. */
export function checkDurableCopies(prepare: Prepare, disks: readonly SimDisk[]): void {
  const { op, checksum } = prepare.header;
  let copies = 0;
  for (const disk of disks) {
    if (disk.holds(op, checksum) || disk.superblock.checkpoint.op >= op) copies += 1;
  }
  if (copies < 2) throw new Violation(`7 commit: op ${op} has ${copies} durable copies`);
}

/** Checker 9: the digest of a checkpoint is the same wherever it is taken. */
export class Digests {
  private readonly roots = new Map<number, string>();

  /** A replica wrote a checkpoint. */
  taken(op: number, id: string): void {
    const known = this.roots.get(op);
    if (known !== undefined && known !== id) throw new Violation(`9 digest of checkpoint ${op}`);
    this.roots.set(op, id);
  }
}
