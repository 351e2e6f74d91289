import type { ChatError } from "./chat-error.ts";
import type { ChatEntry, Page, Skip } from "./types.ts";

/** The world of a timeline. */
export interface TimelinePort {
  read(after: number): Promise<Page>;
  deliver(entry: ChatEntry): void;
  gap(gap: { readonly from: number; readonly to: number }): void;
  reset(reset: { readonly epoch: number; readonly next: number }): void;
  /** Calls back later. */
  later(delayMs: number, call: () => void): void;
}

/** Facts of `attached`. */
export interface AttachedFacts {
  readonly epoch: number;
  readonly floor: number;
  readonly next: number;
}

/** A larger hole is not read: what is shown is dropped and starts anew. */
const fillEntriesMax = 2_000;
/** Entries held beyond a hole, at most; those dropped are read again. */
const heldMax = 1_000;
const emptyPagesMax = 5;
const retryMs = 200;
/** A head ahead of us may be ahead of entries that are still on their way. */
const headSlackMs = 1_000;

/** Entries and skips of a page, ascending. */
function itemsOf({ entries, skips }: Page): readonly (ChatEntry | Skip)[] {
  const first = (item: ChatEntry | Skip) => ("to" in item ? item.from : item.seq);
  return [...entries, ...skips].sort((a, b) => first(a) - first(b));
}

/**
 * Gives each entry once, in rising seq without holes. What comes too early is held while the hole
 * is read; what comes again is dropped.
 */
export class Timeline {
  /** Last entry given out; null before the first attach. */
  position: { readonly epoch: number; readonly seq: number } | null;
  private readonly port: TimelinePort;
  private readonly held = new Map<number, ChatEntry>();
  /** Every entry up to here exists and has to be given out. */
  private known = 0;
  private live = false;
  private reading = false;
  /** Grows with each attach and detach: answers of an earlier life are ignored. */
  private life = 0;
  private emptyPages = 0;

  /** `position`: where the application already is, or null. */
  constructor(port: TimelinePort, position: { epoch: number; seq: number } | null) {
    this.port = port;
    this.position = position;
  }

  /** The room is attached: entries from `next` on come by themselves. */
  attached({ epoch, floor, next }: AttachedFacts): void {
    this.begin(true);
    const { position } = this;
    if (position === null) {
      this.position = { epoch, seq: next - 1 };
      return;
    }
    const hole = next - 1 - position.seq;
    const connects = position.epoch === epoch && position.seq + 1 >= floor;
    if (!connects || hole > fillEntriesMax) this.jump(epoch, next);
    else if (hole > 0) this.gap(position.seq + 1, next - 1);
  }

  /** The room is not attached any more. */
  detached(): void {
    this.begin(false);
  }

  /** An entry came. */
  entry(entry: ChatEntry): void {
    const seq = this.seq;
    if (!this.live || entry.seq <= seq) return;
    if (entry.seq === seq + 1) {
      this.give(entry);
      this.drain();
      return;
    }
    if (this.held.size < heldMax) this.held.set(entry.seq, entry);
    if (this.known < entry.seq - 1) this.gap(Math.max(seq, this.known) + 1, entry.seq - 1);
    this.known = Math.max(this.known, entry.seq);
    this.fill();
  }

  /** The edge says that entries were not sent. */
  gap(from: number, to: number): void {
    if (to <= this.seq) return;
    this.port.gap({ from, to });
    this.known = Math.max(this.known, to);
    this.fill();
  }

  /** Entries up to `to` are hidden from us. */
  skip(to: number): void {
    if (to <= this.seq || this.position === null) return;
    if (this.known <= this.seq) this.position = { epoch: this.position.epoch, seq: to };
    else this.known = Math.max(this.known, to);
    this.drain();
  }

  /** The room's newest seq: if it does not come by itself, the tail was lost. */
  head(seq: number): void {
    if (seq <= this.seq) return;
    const { life } = this;
    this.port.later(headSlackMs, () => {
      if (life === this.life && seq > this.seq) this.gap(this.seq + 1, seq);
    });
  }

  private get seq(): number {
    return this.position?.seq ?? 0;
  }

  private begin(live: boolean): void {
    this.live = live;
    this.life += 1;
    this.reading = false;
    this.held.clear();
    this.known = 0;
    this.emptyPages = 0;
  }

  private jump(epoch: number, next: number): void {
    this.position = { epoch, seq: next - 1 };
    this.port.reset({ epoch, next });
    this.drain();
  }

  private give(entry: ChatEntry): void {
    if (this.position === null) return;
    this.position = { epoch: this.position.epoch, seq: entry.seq };
    this.emptyPages = 0;
    this.port.deliver(entry);
  }

  /** Hidden entries are passed as if they had been given out. */
  private pass({ from, to }: Skip): void {
    if (this.position === null || from > this.seq + 1 || to <= this.seq) return;
    this.position = { epoch: this.position.epoch, seq: to };
  }

  private drain(): void {
    for (const seq of this.held.keys()) if (seq <= this.seq) this.held.delete(seq);
    while (true) {
      const entry = this.held.get(this.seq + 1);
      if (entry === undefined) return;
      this.held.delete(entry.seq);
      this.give(entry);
    }
  }

  private fill(): void {
    if (this.reading || !this.live || this.known <= this.seq) return;
    this.reading = true;
    const { life } = this;
    this.port.read(this.seq).then(
      (page) => {
        if (life === this.life) this.page(page);
      },
      (error: ChatError) => {
        if (life !== this.life) return;
        // What cannot be read now may be readable later; a lost connection starts a new life.
        this.again(error.retryMs ?? retryMs);
      },
    );
  }

  private page(page: Page): void {
    this.reading = false;
    const before = this.seq;
    for (const item of itemsOf(page)) {
      if ("to" in item) this.pass(item);
      else if (item.seq === this.seq + 1) this.give(item);
    }
    this.drain();
    if (this.seq > before || this.position === null) {
      this.fill();
      return;
    }
    const { epoch } = this.position;
    if (page.floor > this.seq + 1) {
      this.jump(epoch, page.floor);
      this.fill();
      return;
    }
    const later = page.entries[0]?.seq ?? this.known + 1;
    this.emptyPages += 1;
    if (this.emptyPages <= emptyPagesMax) this.again(retryMs);
    else {
      // Entries that exist but are never shown to us: hidden ones.
      this.position = { epoch, seq: Math.min(later, this.known + 1) - 1 };
      this.drain();
      this.fill();
    }
  }

  private again(delayMs: number): void {
    const { life } = this;
    this.reading = true;
    this.port.later(delayMs, () => {
      if (life !== this.life) return;
      this.reading = false;
      this.fill();
    });
  }
}
