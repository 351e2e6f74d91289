// Quotas, and how long history is kept, in the model's words.

/** What the newest `retain` of a tenant or a room said; 0 = no limit of that kind. */
export interface Keeping {
  readonly version: number;
  readonly ageSeconds: number;
  readonly entries: number;
  readonly bytes: number;
  readonly hold: boolean;
}

/** Before any `retain`. */
const keepsAll: Keeping = { version: 0, ageSeconds: 0, entries: 0, bytes: 0, hold: false };

/** What a tenant or a room is limited to; 0 = nothing. */
export interface Quotas {
  version: number;
  rooms: number;
  members: number;
  entriesPerSecond: number;
  /** Log times of the entries that counted. */
  readonly counted: number[];
  keeping: Keeping;
}

/** Quotas that nobody has set. */
export function noQuotas(): Quotas {
  return { version: 0, rooms: 0, members: 0, entriesPerSecond: 0, counted: [], keeping: keepsAll };
}

/** Limits that hold in a room: its own, each kind for itself, or its tenant's. */
export function inForce(own: Keeping, tenant: Keeping): Keeping {
  const limit = (kind: "ageSeconds" | "entries" | "bytes"): number =>
    own[kind] > 0 ? own[kind] : tenant[kind];
  const [ageSeconds, entries, bytes] = [limit("ageSeconds"), limit("entries"), limit("bytes")];
  return { version: own.version, ageSeconds, entries, bytes, hold: own.hold || tenant.hold };
}

const textBytes = (text: string): number => new TextEncoder().encode(text).length;

/** Bytes of a log, counted entry by entry while there is a limit of bytes. */
export class ByteCount {
  private total = 0;
  private readonly seqs: number[] = [];
  /** Where a seq is looked up: an eighth of the limit apart, the last sixteen. */
  private marks: { readonly seq: number; readonly before: number }[] = [];
  private nextMark = 0;

  /** A committed entry: 64 bytes and the texts. */
  add(entry: { seq: number; sender: string; body: string }, limit: number): void {
    if (limit === 0) return;
    if (this.total >= this.nextMark) {
      this.marks = [...this.marks, { seq: entry.seq, before: this.total }].slice(-16);
      this.nextMark = this.total + Math.ceil(limit / 8);
    }
    this.seqs.push(entry.seq);
    this.total += 64 + textBytes(entry.sender) + textBytes(entry.body);
  }

  /** True when at least `limit` bytes are known to lie from `floor` on in a log of this length. */
  leaves(floor: number, length: number, limit: number): boolean {
    const mark = this.marks.find(({ seq }) => seq >= floor);
    if (mark !== undefined && this.total - mark.before >= limit) return true;
    const from = this.seqs[0] ?? length + 1;
    // What was there before the count began has 65 bytes an entry at least.
    return floor <= from && this.total + 65 * (from - floor) >= limit;
  }
}
