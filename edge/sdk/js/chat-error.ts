import type { ChatErrorFacts } from "./types.ts";

/** A failure with its row of the published table. `name` is the stable name, e.g. `NO_ROOM`. */
export class ChatError extends Error implements ChatErrorFacts {
  override readonly name: string;
  readonly code: number;
  readonly retryable: boolean;
  /** The server's wish how long to wait, milliseconds, or null. */
  readonly retryMs: number | null;

  /** Facts of an `err` frame, or of the SDK's own. */
  constructor(facts: ChatErrorFacts & { readonly retryMs?: number | null }) {
    super(facts.message);
    this.name = facts.name;
    this.code = facts.code;
    this.retryable = facts.retryable;
    this.retryMs = facts.retryMs ?? null;
  }
}

/** The application closed the chat or the room. */
export function closedError(): ChatError {
  return new ChatError({
    code: 499,
    name: "CLOSED",
    message: "The chat was closed.",
    retryable: false,
  });
}

/** The connection went away before the answer: it may or may not have been done. */
export function lostError(): ChatError {
  return new ChatError({
    code: 504,
    name: "UNKNOWN_OUTCOME",
    message: "The connection was lost.",
    retryable: true,
  });
}

/** The application's getToken failed. Not of the published table. */
export function tokenError(cause: unknown): ChatError {
  const error = new ChatError({
    code: 401,
    name: "NO_TOKEN",
    retryable: true,
    message: `getToken failed: ${cause instanceof Error ? cause.message : String(cause)}`,
  });
  error.cause = cause;
  return error;
}

/** What a close code asks for. 44xx: not again unchanged, except 4401 (token) and 4408. */
export function closeAction(code: number): "token" | "stop" | "reconnect" {
  if (code === 4401) return "token";
  if (code === 4408) return "reconnect";
  return code >= 4400 && code < 4500 ? "stop" : "reconnect";
}
