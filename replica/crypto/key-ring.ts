import { assert } from "#replica/base/assert.ts";
import { bytesEqual } from "#replica/base/bytes.ts";
import { mutated } from "#replica/base/mutation.ts";
import {
  type DataKey,
  dataKeysMax,
  decodeKeyTable,
  encodeKeyTable,
  type KeyTable,
  type KeyTableCopy,
  type KeyWrapping,
  type NamedKek,
  placeOf,
} from "./key-table.ts";
import { NonceCounter } from "./nonce-counter.ts";
import type { VaultPurpose } from "./vault.ts";

declare const MUTATIONS: boolean | undefined;

/** Places that a boot needs: a key for the log and one for segments. */
const bootKeys = 2;

/** One durable write that a ring asks for; {@link KeyRing.wrote} is told when it is done. */
export interface CopyWrite {
  readonly place: 0 | 1;
  readonly bytes: Uint8Array;
}

/**
 * What the two copies say together. `blank`: no table yet. `foreign`: the newest is wrapped by none
 * of the keys given. `damaged`: nothing whole is left. `state` of a table: `whole`, both copies
 * agree; `behind`, the other copy is older (power was cut between two writes, or a write was lost);
 * `one_copy`, the other is torn or has decayed, which nobody can tell apart and need not.
 */
export type TableChoice<Kek, Key> =
  | { readonly kind: "blank" | "foreign" | "damaged" }
  | {
      readonly kind: "table";
      readonly table: KeyTable<Key>;
      readonly kek: Kek;
      readonly state: "whole" | "behind" | "one_copy";
    };

/** Chooses among the copies of a table (CRY-06). */
export function chooseTable<Kek extends NamedKek, Key>(
  copies: readonly [KeyTableCopy<Kek, Key>, KeyTableCopy<Kek, Key>],
): TableChoice<Kek, Key> {
  const [first, second] = copies;
  if (first.kind === "blank" && second.kind === "blank") return { kind: "blank" };
  const later = sequenceOf(first) > sequenceOf(second);
  const [newest, older] = later ? [first, second] : [second, first];
  const stale = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("older_key_copy");
  const [chosen, rest] = stale && older.kind === "valid" ? [older, newest] : [newest, older];
  if (chosen.kind === "foreign") {
    const deaf = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("foreign_as_blank");
    return { kind: deaf ? "blank" : "foreign" };
  }
  if (chosen.kind !== "valid") return { kind: "damaged" };
  const { table, kek } = chosen;
  if (rest.kind === "invalid") return { kind: "table", table, kek, state: "one_copy" };
  const same = rest.kind === "valid" && bytesEqual(rest.kek.id, kek.id) && alike(rest.table, table);
  return { kind: "table", table, kek, state: same ? "whole" : "behind" };
}

function sequenceOf<Kek, Key>(copy: KeyTableCopy<Kek, Key>): number {
  if (copy.kind === "valid") return copy.table.sequence;
  return copy.kind === "foreign" ? copy.sequence : -1;
}

function alike(a: KeyTable<unknown>, b: KeyTable<unknown>): boolean {
  if (a.nextId !== b.nextId || a.keys.length !== b.keys.length) return false;
  return a.keys.every((key, i) => key.id === b.keys[i]?.id);
}

/** A ring as it opens: nothing is written yet. */
export type RingOpening<Kek extends NamedKek, Key> =
  | { readonly ok: false; readonly reason: "foreign" | "damaged" }
  | {
      readonly ok: true;
      readonly ring: KeyRing<Kek, Key>;
      readonly state: "blank" | "whole" | "behind" | "one_copy";
    };

interface Change<Key> {
  readonly fresh: readonly DataKey<Key>[];
  writesLeft: number;
}

interface Current<Key> {
  readonly key: DataKey<Key>;
  readonly nonces: NonceCounter;
}

/**
 * The table of wrapped data keys, pure: which key is in use, what is kept, what is written where.
 * Every change writes both copies, one after the other, and its keys are used after both. The same
 * class decides in production and in the simulator.
 */
export class KeyRing<Kek extends NamedKek, Key> {
  private readonly wrapping: KeyWrapping<Kek, Key>;
  private kek: Kek;
  private readonly keys = new Map<number, DataKey<Key>>();
  private readonly current = new Map<VaultPurpose, Current<Key>>();
  private sequence: number;
  private nextId: number;
  private change: Change<Key> | null = null;

  private constructor(wrapping: KeyWrapping<Kek, Key>, kek: Kek, table: KeyTable<Key>) {
    this.wrapping = wrapping;
    this.kek = kek;
    this.sequence = table.sequence;
    this.nextId = table.nextId;
    for (const key of table.keys) this.keys.set(key.id, key);
  }

  /** Reads two copies under the key-encryption keys given, the first of which is the one in use. */
  static open<Kek extends NamedKek, Key>(
    wrapping: KeyWrapping<Kek, Key>,
    keks: readonly [Kek, ...Kek[]],
    copies: readonly [Uint8Array, Uint8Array],
  ): RingOpening<Kek, Key> {
    const read = (place: 0 | 1): KeyTableCopy<Kek, Key> => {
      const copy = decodeKeyTable(wrapping, copies[place], keks);
      // In the wrong place it would be written over while it is the newest (CRY-05).
      const astray = sequenceOf(copy) >= 0 && placeOf(sequenceOf(copy)) !== place;
      return astray ? { kind: "invalid" } : copy;
    };
    const choice = chooseTable([read(0), read(1)]);
    if (choice.kind === "blank") {
      const ring = new KeyRing(wrapping, keks[0], { sequence: 0, nextId: 1, keys: [] });
      return { ok: true, ring, state: "blank" };
    }
    if (choice.kind !== "table") return { ok: false, reason: choice.kind };
    const ring = new KeyRing(wrapping, choice.kek, choice.table);
    if (!bytesEqual(choice.kek.id, keks[0].id)) ring.wrapAllBy(keks[0]);
    return { ok: true, ring, state: choice.state };
  }

  /** Data keys held. */
  get size(): number {
    return this.keys.size;
  }

  /** Name of the key-encryption key that wraps the table. */
  get kekId(): Uint8Array {
    return this.kek.id;
  }

  /** The data key with that number, or null. */
  key(id: number): Key | null {
    return this.keys.get(id)?.key ?? null;
  }

  /** Takes this boot's key for the log; null: the table has no room for a boot. */
  boot(): CopyWrite | null {
    assert(!this.current.has("wal"), "CRY-04: a ring boots once");
    if (this.keys.size + bootKeys > dataKeysMax) return null;
    return this.begin(["wal"]);
  }

  /** Takes a key for that purpose unless this boot has one; null: it has. */
  need(purpose: VaultPurpose): CopyWrite | null {
    return this.current.has(purpose) ? null : this.begin([purpose]);
  }

  /** The key in use for that purpose with its next nonce. */
  take(purpose: VaultPurpose): {
    readonly id: number;
    readonly key: Key;
    readonly counter: number;
  } {
    const current = this.current.get(purpose);
    assert(current !== undefined, "CRY-04: a key of this boot");
    const { key, nonces } = current;
    return { id: key.id, key: key.key, counter: nonces.next() };
  }

  /**
   * Takes a fresh key for the log and forgets those that are neither in use nor in `keep`; null: a
   * change is under way, or all places are needed, and the key in use stays (CRY-08).
   */
  rotate(keep: readonly number[]): CopyWrite | null {
    if (this.change !== null) return null;
    assert(this.current.has("segment"), "CRY-05: nothing waits for a table that changes");
    const careless = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("forget_data_keys");
    const held = keep.filter((id) => this.keys.has(id));
    const kept = new Set(careless ? [] : held);
    const now = this.current.get("wal")?.key.id;
    for (const { id, purpose } of this.keys.values()) {
      if (purpose === "wal" && id !== now && !kept.has(id)) this.keys.delete(id);
    }
    assert(careless || held.every((id) => this.keys.has(id)), "CRY-07: what is needed is kept");
    return this.full ? null : this.begin(["wal"]);
  }

  /**
   * Wraps all by another key-encryption key, and takes a fresh key for segments if they have one:
   * what is written from now on is under keys that the former never wrapped.
   */
  rewrap(kek: Kek): CopyWrite | "same" | "busy" {
    if (bytesEqual(kek.id, this.kek.id)) return "same";
    if (this.change !== null) return "busy";
    this.wrapAllBy(kek);
    return this.begin(this.current.has("segment") && !this.full ? ["segment"] : []);
  }

  /** The write asked for last is durable: the next one of the change, or null, and it holds. */
  wrote(): CopyWrite | null {
    const { change } = this;
    assert(change !== null, "CRY-05: a write that was asked for");
    change.writesLeft -= 1;
    const hasty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("one_key_copy");
    if (change.writesLeft > 0 && !hasty) return this.write();
    this.change = null;
    this.use(change.fresh);
    return null;
  }

  private get full(): boolean {
    return this.keys.size >= dataKeysMax;
  }

  private begin(purposes: readonly VaultPurpose[]): CopyWrite {
    assert(this.change === null, "CRY-05: one change of the table at a time");
    const fresh = purposes.map((purpose) => this.make(purpose));
    this.change = { fresh, writesLeft: 2 };
    const hasty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("key_before_durable");
    if (hasty) this.use(fresh);
    return this.write();
  }

  private use(fresh: readonly DataKey<Key>[]): void {
    for (const key of fresh) {
      if (this.current.get(key.purpose)?.key === key) continue;
      this.current.set(key.purpose, { key, nonces: new NonceCounter() });
    }
  }

  private make(purpose: VaultPurpose): DataKey<Key> {
    assert(!this.full, "CRY-08: a boot has the places that it needs");
    const id = this.nextId;
    assert(!this.keys.has(id), "CRY-04: numbers of keys grow");
    this.nextId += 1;
    const key = this.wrapping.make();
    const made = { id, purpose, key, wrapped: this.wrapping.wrap(this.kek, id, purpose, key) };
    this.keys.set(id, made);
    return made;
  }

  private wrapAllBy(kek: Kek): void {
    this.kek = kek;
    for (const key of this.keys.values()) {
      const wrapped = this.wrapping.wrap(kek, key.id, key.purpose, key.key);
      this.keys.set(key.id, { ...key, wrapped });
    }
  }

  private write(): CopyWrite {
    this.sequence += 1;
    const { sequence, nextId, kek } = this;
    const bytes = encodeKeyTable(kek, { sequence, nextId, keys: [...this.keys.values()] });
    return { place: placeOf(sequence), bytes };
  }
}
