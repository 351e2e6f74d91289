/** Running mix of everything that happens in a run, and the lines of it when asked for. */
export class Trace {
  private a = 0x811c9dc5;
  private b = 0x9e3779b9;
  private readonly print: ((line: string) => void) | null;

  /** `print`: gets each line; null = only the hash is kept. */
  constructor(print: ((line: string) => void) | null) {
    this.print = print;
  }

  /** True when lines are wanted; saves making them. */
  get verbose(): boolean {
    return this.print !== null;
  }

  /** Mixes one event in. */
  note(what: number, a: number, b: number, c: number): void {
    for (const value of [what, a, b, c]) {
      this.a = Math.imul(this.a ^ Math.floor(value * 1000), 0x01000193);
      this.b = Math.imul(this.b ^ this.a ^ (this.a >>> 13), 0x85ebca6b);
    }
  }

  /** Prints one line. */
  line(text: string): void {
    this.print?.(text);
  }

  /** 16 hex digits: equal for equal runs. */
  get hash(): string {
    const hex = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
    return hex(this.a) + hex(this.b);
  }
}
