import type { RoomName } from "#replica/wire/client-message.ts";
import type { RoomStanding } from "#replica/wire/room-standing.ts";
import type { Viewer } from "#replica/wire/visibility.ts";
import type { Outbox } from "./outbox.ts";

/** A position that a client wants to resume from. */
export interface Since {
  readonly epoch: number;
  readonly seq: number;
}

/** The tenant's server: sees everything but what is somebody's own. */
export const serverViewer: Viewer = { user: "", staff: true, fromSeq: 0 };

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
  /** Who looks; null = the tenant's server, which sees what is not somebody's own. */
  readonly user: string | null;
  /** What it may see; null until the shard has said. */
  viewer: Viewer | null;
  /** As the shard said it last; null before, and for the tenant's server. */
  standing: RoomStanding | null;
  state: "waiting" | "catching" | "live" | "lagging" | "ended";
  /** Seq that this client needs next; meaningful unless waiting or live. */
  next: number;
  /** Size of the log in the last checkpoint pushed to it; -1 = none was. */
  checkpointSize: number;
  /** Pages read for it so far. */
  pages: number;
}
