import type { KeyRun } from "./key-run.ts";
import { RunMerge } from "./key-run.ts";
import { LooseKeys, LooseWalk } from "./loose-keys.ts";

/** Runs of one size class that become one of the next. */
const runsPerMerge = 4;
/** Keys of a merged run at most: bounds what a merge holds twice. */
const runKeysMax = 2 ** 24;

/** Position of a lookup; one object serves all. */
export interface Cursor {
  /** -1 = start. */
  slot: number;
  /** Seq of the candidate found. */
  seq: number;
  /** Which of the parts of a span is being looked at. */
  part: number;
}

/** Work that makes a span smaller, in steps. */
type Job =
  | { readonly kind: "seal"; readonly walk: LooseWalk }
  | { readonly kind: "merge"; readonly merge: RunMerge };

/** Keys whose own times lie in one short span: loose ones, and runs of earlier ones. */
export class KeySpan {
  loose = new LooseKeys();
  /** Loose keys of which a run is being made. */
  private sealing: LooseKeys | null = null;
  private runs: KeyRun[] = [];
  private job: Job | null = null;

  /** Bytes of memory held. */
  get memoryBytes(): number {
    let bytes = this.loose.memoryBytes + (this.sealing?.memoryBytes ?? 0);
    for (const run of this.runs) bytes += run.memoryBytes;
    return bytes;
  }

  /** Runs held. */
  get runsCount(): number {
    return this.runs.length;
  }

  /** Moves to the next candidate; `head`: newest seq of the room. */
  next(room: number, head: number, fingerprint: number, check: number, cursor: Cursor): boolean {
    if (cursor.slot < 0) cursor.part = 0;
    if (cursor.part === 0) {
      if (this.loose.next(room, fingerprint, check, cursor)) return true;
      cursor.part = 1;
      cursor.slot = -1;
    }
    if (cursor.part === 1) {
      if (this.sealing?.next(room, fingerprint, check, cursor) === true) return true;
      cursor.part = 2;
      cursor.slot = -1;
    }
    for (; cursor.part - 2 < this.runs.length; cursor.part += 1) {
      if (this.nextInRun(this.runs[cursor.part - 2], head, fingerprint, check, cursor)) return true;
      cursor.slot = -1;
    }
    return false;
  }

  private nextInRun(
    run: KeyRun | undefined,
    head: number,
    fingerprint: number,
    check: number,
    cursor: Cursor,
  ): boolean {
    if (run === undefined) return false;
    for (;;) {
      const at = run.next(fingerprint, check, cursor.slot);
      if (at < 0) return false;
      cursor.slot = at + 1;
      // A room takes fewer than 2^32 entries while it remembers a key: the low bits suffice.
      const low = run.seqs.at(at);
      const seq = low + Math.floor((head - low) / 2 ** 32) * 2 ** 32;
      if (seq < 1) continue;
      cursor.seq = seq;
      return true;
    }
  }

  /** Takes a run that was made elsewhere. */
  addRun(run: KeyRun): void {
    this.runs.push(run);
  }

  /** Begins to make a run of the loose keys. */
  seal(): void {
    this.sealing = this.loose;
    this.loose = new LooseKeys();
    this.job = { kind: "seal", walk: new LooseWalk(this.sealing) };
  }

  /** Goes on with what was begun, about so many keys; false when nothing is left to do. */
  step(keys: number): boolean {
    if (this.job === null && !this.beginMerge()) return false;
    const { job } = this;
    if (job === null) return false;
    if (job.kind === "seal") {
      const run = job.walk.step(keys);
      if (run === null) return true;
      this.runs.push(run);
      this.sealing = null;
    } else {
      const run = job.merge.step(keys);
      if (run === null) return true;
      this.runs = this.runs.filter((old) => !job.merge.inputs.includes(old));
      this.runs.push(run);
    }
    this.job = null;
    return this.beginMerge();
  }

  private beginMerge(): boolean {
    const classes = new Map<number, KeyRun[]>();
    for (const run of this.runs) {
      const sizeClass = Math.floor((31 - Math.clz32(run.count)) / 2);
      const alike = classes.get(sizeClass) ?? [];
      classes.set(sizeClass, alike);
      if (alike.push(run) < runsPerMerge) continue;
      let count = 0;
      for (const input of alike) count += input.count;
      if (count > runKeysMax) continue;
      this.job = { kind: "merge", merge: new RunMerge(alike) };
      return true;
    }
    return false;
  }
}
