const pageBits = 12;
const pageWords = 1 << (pageBits - 5);

/** A set of room numbers as a bitmap in pages; walks in ascending order without sorting. */
export class DirtyRooms {
  private readonly pages: (Uint32Array | undefined)[] = [];

  /** Adds a room; at most once costs a page of 512 bytes. */
  add(room: number): void {
    const number = room >>> pageBits;
    while (this.pages.length <= number) this.pages.push(undefined);
    let page = this.pages[number];
    if (page === undefined) {
      page = new Uint32Array(pageWords);
      this.pages[number] = page;
    }
    const word = (room >>> 5) & (pageWords - 1);
    page[word] = (page[word] ?? 0) | (1 << (room & 31));
  }

  /** The lowest room of the set that is at least `from`, or -1. */
  next(from: number): number {
    let room = from;
    for (;;) {
      const number = room >>> pageBits;
      if (number >= this.pages.length) return -1;
      const page = this.pages[number];
      if (page === undefined) {
        room = (number + 1) << pageBits;
        continue;
      }
      const word = (page[(room >>> 5) & (pageWords - 1)] ?? 0) >>> (room & 31);
      if (word !== 0) return room + 31 - Math.clz32(word & -word);
      room = ((room >>> 5) + 1) << 5;
    }
  }
}
