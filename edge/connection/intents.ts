import type { ErrorName } from "#edge/api/errors.ts";
import type { Session } from "#edge/auth/session.ts";
import type { PresentedCheckpoint } from "#edge/fanout/checkpoints.ts";
import type { Since } from "#edge/fanout/subscription.ts";
import type { ReadRange, RoomName } from "#replica/wire/client-message.ts";
import type { EntryType } from "#replica/wire/entry.ts";
import type { OperationResult } from "#replica/wire/operation.ts";
import { resultSentences } from "#replica/wire/result-sentences.ts";

/** An entry to be posted, checked and authorised. */
export interface PostIntent {
  readonly name: RoomName;
  readonly sender: string;
  /** UUIDv7, 16 bytes. */
  readonly key: Uint8Array;
  readonly type: EntryType;
  /** Seq of the entry that it answers; 0 = none. */
  readonly parent: number;
  readonly body: Uint8Array;
  /** The tenant's server vouches for it: roles, bans and mutes are not looked at. Absent = no. */
  readonly authority?: boolean;
}

/** A definite no, or an unknown outcome. `retryMs` when waiting helps. */
export interface Refusal {
  readonly error: ErrorName;
  readonly retryMs?: number;
  /** A sentence about this case; the table's when absent. */
  readonly detail?: string;
}

/** What became of a post. */
export type PostOutcome =
  | {
      readonly ok: true;
      readonly epoch: number;
      readonly seq: number;
      readonly timeUs: number;
      readonly dup: boolean;
    }
  | { readonly ok: false; readonly refusal: Refusal };

/** Entries from..to, both included, are hidden from a viewer. */
export interface Skip {
  readonly from: number;
  readonly to: number;
}

/** What a read gave. `events`: JSON objects of entries, in rising seq. */
export type ReadOutcome =
  | {
      readonly ok: true;
      readonly epoch: number;
      readonly head: number;
      readonly floor: number;
      readonly events: readonly string[];
      /** Hidden from this viewer: with the events each seq of the page once. */
      readonly skips: readonly Skip[];
    }
  | { readonly ok: false; readonly refusal: Refusal };

/** What the verifier says of a token. */
export type VerifyOutcome =
  | { readonly ok: true; readonly session: Session }
  | { readonly ok: false; readonly refusal: Refusal };

/** What the shell has to do for a connection, in order. Frames go into its outbox directly. */
export type ConnectionEffect =
  /** Answer by `verified`. */
  | { readonly kind: "verify"; readonly ticket: number; readonly token: string }
  /** Answer by `attached` or `refused`. */
  | {
      readonly kind: "subscribe";
      readonly id: string;
      readonly name: RoomName;
      /** Whose sight counts. */
      readonly user: string;
      readonly since: Since | null;
      readonly tail: number;
    }
  /** The token was refreshed: look again what the user may see. */
  | { readonly kind: "recheck"; readonly name: RoomName }
  /** A room is attached: prove that its shard's log extends this, if it is that log's. */
  | { readonly kind: "extend"; readonly name: RoomName; readonly from: PresentedCheckpoint }
  | { readonly kind: "unsubscribe"; readonly name: RoomName }
  /** Answer by `posted`. */
  | { readonly kind: "post"; readonly ticket: number; readonly post: PostIntent }
  /** Answer by `pageRead`. */
  | {
      readonly kind: "read";
      readonly ticket: number;
      readonly name: RoomName;
      readonly user: string;
      readonly range: ReadRange;
    }
  | {
      readonly kind: "signal";
      readonly name: RoomName;
      readonly signal: string;
      readonly from: string;
    }
  /** Flush, then close with that code. */
  | { readonly kind: "close"; readonly code: number; readonly reason: string }
  /** Cut at once, without trying to flush. */
  | { readonly kind: "terminate"; readonly reason: string };

/** Answers of the machine that are a definite no, by their rows of the table. */
const errorOf = {
  no_room: "NO_ROOM",
  key_mismatch: "KEY_MISMATCH",
  key_too_old: "KEY_TOO_OLD",
  key_in_future: "KEY_IN_FUTURE",
  too_large: "TOO_LARGE",
  bad_operation: "BAD_POST",
  denied: "DENIED",
  banned: "BANNED",
  muted: "MUTED",
  bad_target: "BAD_TARGET",
  redacted: "REDACTED",
  stale: "STALE",
  quota: "QUOTA",
  gone: "BAD_TARGET",
  held: "DENIED",
  not_due: "STALE",
} as const;

/** A post's outcome from the machine's result; null = the reply was malformed. */
export function postOutcomeOf(result: OperationResult | null): PostOutcome {
  if (result === null) return refused("UNKNOWN_OUTCOME", 200);
  const { code, epoch, seq, timeUs, dup } = result;
  switch (code) {
    case "ok":
    case "room_exists":
      return { ok: true, epoch, seq, timeUs, dup: dup || code === "room_exists" };
    case "moved":
    case "busy":
      return refused("NO_LEADER", 200);
    case "rate_limited":
      return refused("RATE_LIMITED", 1000);
    case "no_room":
    case "key_mismatch":
    case "key_too_old":
    case "key_in_future":
    case "too_large":
    case "bad_operation":
    case "denied":
    case "banned":
    case "muted":
    case "bad_target":
    case "redacted":
    case "stale":
    case "quota":
    case "gone":
    case "held":
    case "not_due": {
      const refusal = { error: errorOf[code], detail: resultSentences[code] };
      return { ok: false, refusal };
    }
    default:
      return code satisfies never;
  }
}

/** A failed post. */
export function refused(error: ErrorName, retryMs?: number): PostOutcome & { readonly ok: false } {
  return { ok: false, refusal: retryMs === undefined ? { error } : { error, retryMs } };
}
