/** What a line of the timeline is about; `--only` takes one of these or a message's kind. */
export type LineKind =
  | "send"
  | "receive"
  | "disk"
  | "status"
  | "commit"
  | "client"
  | "fault"
  | "process";

/** Which lines are printed: all that match every given filter. */
export interface TimelineFilter {
  readonly print: (line: string) => void;
  /** A {@link LineKind} or a word of the line, such as a message's kind. */
  readonly only: readonly string[];
  /** -1: all. */
  readonly replica: number;
}

/** Running mix of everything that happens in a run, and its lines when they are asked for. */
export class Timeline {
  /** Why the run failed, as soon as it is known: the last line. */
  private a = 0x811c9dc5;
  private b = 0x9e3779b9;
  private readonly filter: TimelineFilter | null;

  /** Null = only the hash is kept. */
  constructor(filter: TimelineFilter | null) {
    this.filter = filter;
  }

  /** True when lines are wanted; saves making them. */
  get verbose(): boolean {
    return this.filter !== null;
  }

  /** Mixes one event in. */
  mix(what: number, a: number, b: number, c: number): void {
    this.mixOne(what);
    this.mixOne(a);
    this.mixOne(b);
    this.mixOne(c);
  }

  /** Prints one line, unless it is filtered out. */
  line(nowMs: number, kind: LineKind, replica: number, text: string): void {
    const { filter } = this;
    if (filter === null) return;
    if (filter.replica >= 0 && replica !== filter.replica) return;
    const words = text.split(" ");
    if (filter.only.length > 0) {
      if (!filter.only.some((want) => want === kind || words.includes(want))) return;
    }
    const who = replica < 0 ? "--" : `r${replica}`;
    filter.print(`${nowMs.toFixed(3).padStart(11)} ${who} ${kind.padEnd(7)} ${text}`);
  }

  /** 16 hex digits: equal for equal runs. */
  get hash(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
    return hex(this.a) + hex(this.b);
  }

  private mixOne(value: number): void {
    this.a = Math.imul(this.a ^ Math.floor(value * 1000), 0x01000193);
    this.b = Math.imul(this.b ^ this.a ^ (this.a >>> 13), 0x85ebca6b);
  }
}
