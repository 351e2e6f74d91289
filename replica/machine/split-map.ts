const partsBits = 8;
const partsMask = (1 << partsBits) - 1;

/**
 * A map by room in 256 parts: a map of a million rooms is copied in one turn whenever it grows or
 * has held many that are gone, tens of milliseconds; a part of it is copied in a tenth of one.
 */
export class SplitMap<T> {
  private readonly parts = Array.from({ length: 1 << partsBits }, () => new Map<number, T>());
  private count = 0;

  /** Rooms held. */
  get size(): number {
    return this.count;
  }

  /** What is held for a room. */
  get(room: number): T | undefined {
    return this.parts[room & partsMask]?.get(room);
  }

  /** Holds something for a room, as the newest of its part. */
  setNewest(room: number, value: T): void {
    const part = this.parts[room & partsMask];
    if (part?.delete(room) === false) this.count += 1;
    part?.set(room, value);
  }

  /**
   * Lets go of the room of the same part that was set longest ago, if there is another one and it
   * `may` go; at most once a call.
   */
  letGo(room: number, may: (other: number) => boolean): void {
    const part = this.parts[room & partsMask];
    const oldest = part?.keys().next().value;
    if (part === undefined || oldest === undefined || oldest === room || !may(oldest)) return;
    part.delete(oldest);
    this.count -= 1;
  }

  /** All rooms, in no particular order. */
  *keys(): Generator<number> {
    for (const part of this.parts) yield* part.keys();
  }
}
