import { assert } from "./assert.ts";

/** A Map that refuses to grow over its maximum. Iterates in insertion order. */
export class BoundedMap<K, V> {
  readonly countMax: number;
  private readonly map = new Map<K, V>();

  /** `countMax`: entries held at most, from 1. */
  constructor(countMax: number) {
    assert(Number.isSafeInteger(countMax) && countMax >= 1, "BAS-03: map size");
    this.countMax = countMax;
  }

  /** Entries held now. */
  get count(): number {
    return this.map.size;
  }

  /** The value of a key, or undefined. */
  get(key: K): V | undefined {
    return this.map.get(key);
  }

  /** True when the key is held. */
  has(key: K): boolean {
    return this.map.has(key);
  }

  /** Sets or replaces; false when the key is new and the map is full. */
  trySet(key: K, value: V): boolean {
    if (this.map.size >= this.countMax && !this.map.has(key)) return false;
    this.map.set(key, value);
    return true;
  }

  /** Sets or replaces; the caller has made sure that there is room. */
  set(key: K, value: V): void {
    assert(this.trySet(key, value), "BAS-03: map is full");
  }

  /** Removes a key; true when it was held. */
  delete(key: K): boolean {
    return this.map.delete(key);
  }

  /** Removes everything. */
  clear(): void {
    this.map.clear();
  }

  /** Entries in insertion order. */
  entries(): IterableIterator<[K, V]> {
    return this.map.entries();
  }

  /** Values in insertion order. */
  values(): IterableIterator<V> {
    return this.map.values();
  }

  /** Keys in insertion order. */
  keys(): IterableIterator<K> {
    return this.map.keys();
  }
}
