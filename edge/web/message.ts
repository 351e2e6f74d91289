/** A reaction, and whose it is. */
export interface Reaction {
  readonly reaction: string;
  readonly users: readonly string[];
}

/** One line of the conversation as the page shows it. */
export interface Message {
  /** Idempotency key: the same before and after the commit, so the row stays the same. */
  readonly key: string;
  /** Position in the room; null until committed. */
  readonly seq: number | null;
  readonly from: string;
  readonly timeMs: number;
  /** As of the last edit; empty when deleted. */
  readonly body: string;
  /** As it was posted: what its receipt proves. */
  readonly original: string;
  readonly state: "sent" | "pending" | "failed";
  readonly edited: boolean;
  readonly redacted: boolean;
  readonly reactions: readonly Reaction[];
  /** A thread hangs on it. */
  readonly thread: boolean;
}
