import type { ErrorName } from "#edge/api/errors.ts";
import type { Session } from "#edge/auth/session.ts";
import type { Since } from "#edge/fanout/subscription.ts";
import type { ReadRange, RoomName } from "#replica/wire/client-message.ts";
import type { EntryType } from "#replica/wire/entry.ts";
import type { OperationResult } from "#replica/wire/operation.ts";

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

/** What a read gave. `events`: JSON objects of entries, in rising seq. */
export type ReadOutcome =
  | {
      readonly ok: true;
      readonly epoch: number;
      readonly head: number;
      readonly floor: number;
      readonly events: readonly string[];
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
      readonly since: Since | null;
      readonly tail: number;
    }
  | { readonly kind: "unsubscribe"; readonly name: RoomName }
  /** Answer by `posted`. */
  | { readonly kind: "post"; readonly ticket: number; readonly post: PostIntent }
  /** Answer by `pageRead`. */
  | {
      readonly kind: "read";
      readonly ticket: number;
      readonly name: RoomName;
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

/** A post's outcome from the machine's result; null = the reply was malformed. */
export function postOutcomeOf(result: OperationResult | null): PostOutcome {
  if (result === null) return refused("UNKNOWN_OUTCOME", 200);
  const { code, epoch, seq, timeUs, dup } = result;
  switch (code) {
    case "ok":
    case "room_exists":
      return { ok: true, epoch, seq, timeUs, dup: dup || code === "room_exists" };
    case "no_room":
      return refused("NO_ROOM");
    case "key_mismatch":
      return refused("KEY_MISMATCH");
    case "key_too_old":
      return refused("KEY_TOO_OLD");
    case "key_in_future":
      return refused("KEY_IN_FUTURE");
    case "moved":
    case "busy":
      return refused("NO_LEADER", 200);
    case "too_large":
      return refused("TOO_LARGE");
    case "bad_operation":
    case "bad_target":
    case "redacted":
    case "stale":
    case "gone":
    case "not_due":
      return refused("BAD_FRAME");
    case "banned":
      return refused("BANNED");
    case "denied":
    case "muted":
    case "quota":
    case "held":
      return refused("DENIED");
    case "rate_limited":
      return refused("RATE_LIMITED", 1000);
    default:
      return code satisfies never;
  }
}

/** A failed post. */
export function refused(error: ErrorName, retryMs?: number): PostOutcome & { readonly ok: false } {
  return { ok: false, refusal: retryMs === undefined ? { error } : { error, retryMs } };
}
