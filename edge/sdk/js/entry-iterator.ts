import type { ChatEntry, Page } from "./types.ts";

/** The world of an iterator. */
export interface IteratorPort {
  readonly bufferMax: number;
  /** Seq before the first entry to give; null = not attached yet. */
  readonly from: number | null;
  /** Seq of the newest entry that the room has given out. */
  head(): number;
  read(after: number): Promise<Page>;
  later(delayMs: number, call: () => void): void;
  done(iterator: EntryIterator): void;
}

const retryMs = 500;

/**
 * Entries one by one, with a bounded buffer. A reader who is slower than the room loses nothing:
 * what did not fit is read from the room when it is asked for.
 */
export class EntryIterator implements AsyncIterableIterator<ChatEntry> {
  private readonly port: IteratorPort;
  private buffer: ChatEntry[] = [];
  /** Seq of the newest entry in the buffer, or given; null = not attached yet. */
  private last: number | null;
  private wanted: ((result: IteratorResult<ChatEntry>) => void)[] = [];
  private reading = false;
  private ended = false;

  /** Made by Room.entries. */
  constructor(port: IteratorPort) {
    this.port = port;
    this.last = port.from;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ChatEntry>> {
    return new Promise((resolve) => {
      this.wanted.push(resolve);
      this.serve();
    });
  }

  return(): Promise<IteratorResult<ChatEntry>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The room is attached for the first time; its next entry is `seq` + 1. */
  start(seq: number): void {
    this.last ??= seq;
  }

  /** An entry was given out. */
  push(entry: ChatEntry): void {
    this.last ??= entry.seq - 1;
    if (entry.seq === this.last + 1 && this.buffer.length < this.port.bufferMax) {
      this.buffer.push(entry);
      this.last = entry.seq;
    }
    this.serve();
  }

  /** What was before `next` does not connect: goes on there. */
  reset(next: number): void {
    this.buffer = [];
    this.last = next - 1;
  }

  /** No more entries: what is buffered is still given. */
  end(): void {
    this.ended = true;
    this.serve();
    this.port.done(this);
  }

  private serve(): void {
    while (this.wanted.length > 0) {
      const entry = this.buffer.shift();
      if (entry === undefined) break;
      this.wanted.shift()?.({ done: false, value: entry });
    }
    if (this.wanted.length === 0) return;
    if (this.ended) {
      for (const resolve of this.wanted) resolve({ done: true, value: undefined });
      this.wanted = [];
    } else if (this.last !== null && this.last < this.port.head()) this.readMore(this.last);
  }

  private readMore(after: number): void {
    if (this.reading) return;
    this.reading = true;
    this.port.read(after).then(
      (page) => {
        this.reading = false;
        for (const entry of page.entries) this.push(entry);
      },
      () =>
        this.port.later(retryMs, () => {
          this.reading = false;
          this.serve();
        }),
    );
  }
}
