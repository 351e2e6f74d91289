import { type SimKek, simKek } from "./sim-vault.ts";

/** A machine's keys as the operator sees them. */
export interface KekUser {
  /** Number of the key-encryption key that wraps its table; null: its disk is lost. */
  readonly kekNumber: number | null;
  rewrap(): void;
}

/** The key-encryption file that the three machines share, and the operator who changes it. */
export class KekFile {
  private lines: [number, ...number[]] = [1];

  /** Its keys, the one in use first. */
  get keks(): readonly [SimKek, ...SimKek[]] {
    const [first, ...more] = this.lines;
    return [simKek(first), ...more.map((line) => simKek(line))];
  }

  /** Numbers of its keys. */
  get numbers(): readonly number[] {
    return [...this.lines];
  }

  /** A file of another shard, mounted by mistake. */
  get wrong(): readonly [SimKek] {
    return [simKek(0x7fff)];
  }

  /** A volume came back that a former key may wrap: it is added below, as the refusal says. */
  needs(keks: readonly number[]): void {
    for (const kek of keks) if (!this.lines.includes(kek)) this.lines.push(kek);
  }

  /** A new first line once all have taken the one before, of which all older ones go. */
  change(users: readonly KekUser[]): void {
    const [first] = this.lines;
    if (users.every(({ kekNumber }) => kekNumber === null || kekNumber === first)) {
      this.lines = [first + 1, first];
    }
    for (const user of users) user.rewrap();
  }
}
