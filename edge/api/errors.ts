import { assert } from "#replica/base/assert.ts";

/** Stable name of an error, the same in `err` frames, HTTP problems and SDKs. */
export type ErrorName =
  | "BAD_FRAME"
  | "TOKEN_EXPIRED"
  | "TOKEN_INVALID"
  | "DENIED"
  | "BANNED"
  | "MUTED"
  | "QUOTA"
  | "NO_ROOM"
  | "HELLO_TIMEOUT"
  | "KEY_MISMATCH"
  | "BAD_TARGET"
  | "STALE"
  | "REDACTED"
  | "EPOCH_CHANGED"
  | "BELOW_FLOOR"
  | "KEY_TOO_OLD"
  | "KEY_IN_FUTURE"
  | "TOO_LARGE"
  | "BAD_POST"
  | "RATE_LIMITED"
  | "INTERNAL"
  | "NO_LEADER"
  | "UNKNOWN_OUTCOME"
  | "SLOW_CONSUMER"
  | "DRAIN";

/** One row of the table: everything a client needs to know to react. */
export interface ErrorRow {
  readonly name: ErrorName;
  /** Code in `err` frames. */
  readonly code: number;
  /** Status of the HTTP answer. */
  readonly status: number;
  /** Close code when the error ends a whole connection; null = it never does. */
  readonly close: number | null;
  /** True when the same frame or call may succeed later, unchanged. */
  readonly retryable: boolean;
  /** One sentence: what happened. */
  readonly meaning: string;
  /** One sentence: what a client does. */
  readonly action: string;
}

function row(
  name: ErrorName,
  numbers: readonly [code: number, status: number, close: number | null],
  retryable: boolean,
  meaning: string,
  action: string,
): ErrorRow {
  const [code, status, close] = numbers;
  return { name, code, status, close, retryable, meaning, action };
}

/** All errors. Codes and names are never reused. */
export const errorTable: readonly ErrorRow[] = [
  row(
    "BAD_FRAME",
    [400, 400, 4400],
    false,
    "The frame or call does not follow the schema.",
    "Stop: it is a bug of the client.",
  ),
  row(
    "TOKEN_EXPIRED",
    [401, 401, 4401],
    false,
    "The token's time is over.",
    "Fetch a new token once, then retry.",
  ),
  row(
    "TOKEN_INVALID",
    [401, 401, 4401],
    false,
    "The token, API key or login is not valid here.",
    "Fetch a new token once, then retry; stop if that is refused too.",
  ),
  row(
    "DENIED",
    [403, 403, 4403],
    false,
    "The token does not allow this, or the server does not offer it.",
    "Stop and tell the user.",
  ),
  row(
    "BANNED",
    [403, 403, 4403],
    false,
    "The user is banned from the room.",
    "Stop and tell the user.",
  ),
  row(
    "MUTED",
    [403, 403, null],
    false,
    "The user is muted in the room: reading is allowed, posting is not.",
    "Tell the user; `you.muted_until` of `attached` says until when.",
  ),
  row(
    "QUOTA",
    [403, 403, null],
    false,
    "A quota of the room or of its tenant is used up.",
    "Tell the user; the tenant's server can raise the quota.",
  ),
  row(
    "NO_ROOM",
    [404, 404, null],
    false,
    "There is no such room.",
    "Tell the user; create the room with the server's API first.",
  ),
  row(
    "HELLO_TIMEOUT",
    [408, 408, 4408],
    true,
    "No hello, or no attached room, within the deadline.",
    "Reconnect.",
  ),
  row(
    "KEY_MISMATCH",
    [409, 409, null],
    false,
    "The key was used before for a message with another content.",
    "Tell the user; a new message needs a new key.",
  ),
  row(
    "BAD_TARGET",
    [409, 409, null],
    false,
    "The entry that it refers to is not there, or is not one that it can refer to.",
    "Tell the user; `parent` is the seq of a message.",
  ),
  row(
    "STALE",
    [409, 409, null],
    false,
    "It is not newer than what the room has: a marker or version does not move back.",
    "Nothing: the room is further already.",
  ),
  row(
    "REDACTED",
    [410, 410, null],
    false,
    "The entry that it refers to was redacted.",
    "Drop it, and show the message as redacted.",
  ),
  row(
    "EPOCH_CHANGED",
    [410, 410, null],
    false,
    "The room's history was restored; positions of the old epoch mean nothing now.",
    "Drop what is held of the room, attach with `tail` and page back with `read`.",
  ),
  row(
    "BELOW_FLOOR",
    [410, 410, null],
    false,
    "The asked entries are older than what the room keeps.",
    "Go on from the floor that the answer names.",
  ),
  row(
    "KEY_TOO_OLD",
    [412, 412, null],
    false,
    "The key's own time is older than the room remembers keys.",
    "Look by reading whether the message is there; if not, post it with a new key.",
  ),
  row(
    "KEY_IN_FUTURE",
    [412, 412, null],
    false,
    "The key's own time is more than five minutes ahead of log time.",
    "Set the clock (hello has the server's time), then post with a new key.",
  ),
  row(
    "TOO_LARGE",
    [413, 413, 4413],
    false,
    "The frame, body or answer is over its limit.",
    "Tell the user.",
  ),
  row(
    "BAD_POST",
    [422, 422, null],
    false,
    "Parent or body are not what this type of entry wants, or not in this kind of room.",
    "Stop: it is a bug of the client.",
  ),
  row(
    "RATE_LIMITED",
    [429, 429, 4429],
    true,
    "Too many frames or calls; the connection is closed only if it goes on.",
    "Wait retry_ms, then retry unchanged.",
  ),
  row(
    "INTERNAL",
    [500, 500, 4500],
    true,
    "The edge failed; nothing was handed to the shard.",
    "Retry with the same key after a pause.",
  ),
  row(
    "NO_LEADER",
    [503, 503, null],
    true,
    "The shard did not take it: a definite no.",
    "Wait retry_ms, then retry with the same key.",
  ),
  row(
    "UNKNOWN_OUTCOME",
    [504, 504, null],
    true,
    "It may or may not have been committed.",
    "Retry with the same key until there is an answer; it is never applied twice.",
  ),
  row(
    "SLOW_CONSUMER",
    [508, 503, 4508],
    true,
    "The client did not read what was sent to it.",
    "Reconnect and attach with `since`.",
  ),
  row(
    "DRAIN",
    [512, 503, 4512],
    true,
    "This edge process is going away.",
    "Wait random(0, window_ms), then reconnect and attach with `since`.",
  ),
];

const byName = new Map(errorTable.map((entry) => [entry.name, entry]));
assert(byName.size === errorTable.length, "EDA-02: error names are unique");

/** The row of a name. */
export function errorRow(name: ErrorName): ErrorRow {
  const found = byName.get(name);
  assert(found !== undefined, `EDA-02: ${name}`);
  return found;
}

/** How a client treats a close code: 44xx needs a change first, all others may come back. */
export function closeCodeAction(code: number): "token" | "stop" | "reconnect" {
  if (code === 4401) return "token";
  if (code === 4408) return "reconnect";
  return code >= 4400 && code < 4500 ? "stop" : "reconnect";
}
