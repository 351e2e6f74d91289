import type { LogLevel } from "#replica/admin/replica-config.ts";

const order: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Facts of a log line; values that JSON cannot carry are left out. */
export type LogFacts = Readonly<Record<string, unknown>>;

/**
 * Structured log: one JSON object a line, with time, level, a constant `what` to search for, and
 * facts. Own code, because the replica ships without a logging library.
 */
export class Log {
  private readonly write: (line: string) => void;
  private readonly levelMin: number;
  private readonly base: LogFacts;

  /** `write` gets a line with its newline; `base` facts stand on every line. */
  constructor(level: LogLevel, base: LogFacts, write: (line: string) => void) {
    this.levelMin = order.indexOf(level);
    this.base = base;
    this.write = write;
  }

  /** For people who debug a replica. */
  debug(what: string, facts: LogFacts = {}): void {
    this.line("debug", what, facts);
  }

  /** Changes of state that a normal day has. */
  info(what: string, facts: LogFacts = {}): void {
    this.line("info", what, facts);
  }

  /** Something refused or lost that the replica copes with. */
  warn(what: string, facts: LogFacts = {}): void {
    this.line("warn", what, facts);
  }

  /** Something that a person must know. */
  error(what: string, facts: LogFacts = {}): void {
    this.line("error", what, facts);
  }

  private line(level: LogLevel, what: string, facts: LogFacts): void {
    if (order.indexOf(level) < this.levelMin) return;
    const time = new Date().toISOString();
    this.write(`${JSON.stringify({ time, level, what, ...this.base, ...facts })}\n`);
  }
}
