import type { RoomName } from "#replica/wire/client-message.ts";
import type { Outbox } from "./outbox.ts";

/** A position that a client wants to resume from. */
export interface Since {
  readonly epoch: number;
  readonly seq: number;
}

/**
 * One client in one room. waiting: the room is being opened. catching: it reads what came before
 * it. live: it gets every event as it comes. lagging: its queue was dropped; one gap, then live.
 */
export interface Subscription {
  readonly outbox: Outbox;
  readonly name: RoomName;
  /** Id of the attach frame. */
  readonly id: string;
  readonly since: Since | null;
  readonly tail: number;
  readonly startedMs: number;
  state: "waiting" | "catching" | "live" | "lagging" | "ended";
  /** Seq that this client needs next; meaningful unless waiting or live. */
  next: number;
  /** Pages read for it so far. */
  pages: number;
}
