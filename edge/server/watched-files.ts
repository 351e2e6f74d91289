import { readFileSync } from "node:fs";

const pollMs = 2_000;
const lookPauseMs = 20;

/**
 * Small files that may change while the process runs. Read again every two seconds and compared by
 * content: mounted volumes change by a swap of links, which file events miss.
 */
export class WatchedFiles {
  private readonly texts = new Map<string, string>();
  private readonly handlers = new Map<string, (text: string) => void>();
  private readonly onError: (file: string, error: unknown) => void;
  private timer: NodeJS.Timeout | null = null;
  private lookedMs = Number.NEGATIVE_INFINITY;

  /** `onError`: a file cannot be read now; its last content stays in use. */
  constructor(onError: (file: string, error: unknown) => void) {
    this.onError = onError;
  }

  /** Content now; throws when it cannot be read. `changed` is called for each later content. */
  read(file: string, changed: (text: string) => void): string {
    const text = readFileSync(file, "utf8");
    this.texts.set(file, text);
    this.handlers.set(file, changed);
    return text;
  }

  /** The last content of a file that was read. */
  last(file: string): string {
    return this.texts.get(file) ?? "";
  }

  /** Starts to look. */
  start(): void {
    this.timer = setInterval(() => this.poll(), pollMs);
    this.timer.unref();
  }

  /** Looks at once, for whoever has learnt that something changed; 50 times a second at most. */
  look(): void {
    const nowMs = performance.now();
    if (this.timer === null || nowMs - this.lookedMs < lookPauseMs) return;
    this.lookedMs = nowMs;
    this.poll();
  }

  /** Ends it. */
  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private poll(): void {
    const changed: string[] = [];
    for (const file of this.handlers.keys()) {
      try {
        const text = readFileSync(file, "utf8");
        if (text === this.texts.get(file)) continue;
        this.texts.set(file, text);
        changed.push(file);
      } catch (error) {
        this.onError(file, error);
      }
    }
    // After all are read: key and certificate change together.
    for (const file of changed) this.handlers.get(file)?.(this.last(file));
  }
}
