import type { VaultPurpose } from "#replica/crypto/vault.ts";
import { Violation } from "./subject.ts";

/** Keys of one volume that something on it still needs: number to secret. */
export type NeededKeys = Readonly<Record<VaultPurpose, ReadonlyMap<number, number>>>;

/** Checker 18: no volume loses a data key that something on it still needs. */
export class Keys {
  private readonly replica: number;
  private needed: Record<VaultPurpose, Map<number, number>>;
  private readonly last: Record<VaultPurpose, number> = { wal: 0, segment: 0 };

  constructor(replica: number) {
    this.replica = replica;
    this.needed = { wal: new Map(), segment: new Map() };
  }

  /** Something was sealed for the volume under that key. */
  sealed(purpose: VaultPurpose, id: number, secret: number): void {
    if (this.last[purpose] === id) return;
    this.last[purpose] = id;
    const keys = this.needed[purpose];
    const known = this.needed.wal.get(id) ?? this.needed.segment.get(id) ?? secret;
    if (known !== secret) this.broken(`number ${id} is of two keys`);
    keys.set(id, secret);
  }

  /** The storage says which keys the log still needs beside the one in use. */
  rotates(keep: readonly number[]): void {
    const kept = new Set([...keep, this.last.wal]);
    for (const id of this.needed.wal.keys()) if (!kept.has(id)) this.needed.wal.delete(id);
  }

  /** A process opened the table; `slots`: keys of the whole prepares of its log. */
  opened(secretOf: (id: number) => number | null, slots: readonly number[]): void {
    this.last.wal = 0;
    this.last.segment = 0;
    for (const [purpose, keys] of Object.entries(this.needed)) {
      for (const [id, secret] of keys) {
        if (secretOf(id) !== secret) this.broken(`key ${id} (${purpose}) is lost`);
      }
    }
    for (const id of slots) if (secretOf(id) === null) this.broken(`a slot needs key ${id}`);
  }

  /** The right key-encryption key opens no table; legitimate where both copies are gone. */
  refused(reason: string, destroyed: boolean): void {
    if (!destroyed || reason !== "damaged") this.broken(`the table is refused as ${reason}`);
  }

  /** A wrong key-encryption key was given; `changed`: something was written. */
  mistaken(reason: string | null, changed: boolean): void {
    if (reason !== "foreign") this.broken(`a wrong key is answered by ${reason ?? "a start"}`);
    if (changed) this.broken("a wrong key changes the table");
  }

  /** What the volume needs, for a copy of it. */
  snapshot(): NeededKeys {
    return { wal: new Map(this.needed.wal), segment: new Map(this.needed.segment) };
  }

  /** The volume is another one. */
  restore(needed: NeededKeys): void {
    this.needed = { wal: new Map(needed.wal), segment: new Map(needed.segment) };
    this.last.wal = 0;
    this.last.segment = 0;
  }

  private broken(what: string): never {
    throw new Violation(`18 keys: replica ${this.replica}: ${what}`);
  }
}
