import type { Checksum, ClientId, Op, ReplicaIndex, Seq, View } from "#replica/base/brands.ts";
import type { RequestHeader } from "./prepare.ts";

/** Names a room within its fleet. Ids are 1 to nameBytesMax bytes of UTF-8; tenant may be "". */
export interface RoomName {
  readonly tenant: string;
  readonly room: string;
}

/** Range of a read: entries after a seq (ascending) or before one (the last `limit` of them). */
export type ReadRange =
  | { readonly kind: "after"; readonly seq: Seq; readonly limit: number }
  | { readonly kind: "before"; readonly seq: Seq; readonly limit: number };

/** What a replica can prove. */
export const proofKinds = ["receipt", "export", "checkpoint", "consistency", "keys"] as const;

/**
 * Asks for a proof instead of entries (replica/proof/README.md has the formats). The answer's
 * `entries` are then UTF-8 text, empty when there is no such entry. receipt: of entry `seq`;
 * export: first line of an export; checkpoint: newest signed one of the shard's log; consistency:
 * from `seq` leaves to that; keys: verifier keys of log and cosigners, one a line.
 */
export interface ProofQuestion {
  readonly kind: (typeof proofKinds)[number];
  readonly seq: Seq;
  readonly limit: number;
}

/**
 * Asks what a user is in a room or thread, instead of entries. The answer's `entries` are then the
 * text of a RoomStanding (room-standing.ts). A thread without an answer yet counts as there, empty,
 * when its room is.
 */
export interface StandingQuestion {
  readonly kind: "standing";
  /** 1 to nameBytesMax bytes of UTF-8. */
  readonly user: string;
}

/** What a read may ask for. */
export type ReadQuestion = ReadRange | ProofQuestion | StandingQuestion;

/** Frames from a client (an edge, a tool) to the client port of a replica. */
export type ClientMessage =
  /** First frame of a connection. */
  | { readonly kind: "hello"; readonly clientId: ClientId; readonly protocol: 1 }
  /** Opens a session through the log. Repeating it with the same client id is harmless. */
  | { readonly kind: "register"; readonly clientId: ClientId }
  /** `header.operationsCount` operations in `body` (operation.ts). */
  | {
      readonly kind: "request";
      readonly header: RequestHeader;
      readonly viewKnown: View;
      readonly body: Uint8Array;
    }
  /** Committed entries of a room, any replica. `id` returns in the answer; u32. */
  | {
      readonly kind: "read";
      readonly id: number;
      readonly name: RoomName;
      readonly range: ReadQuestion;
    }
  /** Head, floor and epoch of a room now, and from now on every committed entry of it. */
  | { readonly kind: "watch"; readonly id: number; readonly name: RoomName }
  | { readonly kind: "unwatch"; readonly name: RoomName };

/** What a replica says about a room without changing it. */
export type RoomAnswer =
  | {
      readonly code: "ok";
      /** Changes only when history was restored or lost. */
      readonly epoch: number;
      /** Seq of the last committed entry; 0 = none. */
      readonly head: Seq;
      /** Seq of the oldest entry kept. */
      readonly floor: Seq;
    }
  | { readonly code: "no_room" | "busy" | "not_ready" }
  /** The slot belongs to another shard. */
  | {
      readonly code: "moved";
      readonly slot: number;
      readonly shard: string;
      readonly epoch: number;
    };

/** Frames from a replica to a client. */
export type ServerMessage =
  /** After hello, and at every change of status or view. `primary` = view mod 3. */
  | {
      readonly kind: "view";
      readonly view: View;
      readonly primary: ReplicaIndex;
      /** True when this replica is in normal status in that view. */
      readonly normal: boolean;
    }
  | { readonly kind: "registered"; readonly clientId: ClientId; readonly session: Op }
  /** `body`: one result an operation (operation.ts). */
  | {
      readonly kind: "reply";
      readonly session: Op;
      readonly requestNumber: number;
      readonly requestChecksum: Checksum;
      readonly op: Op;
      readonly view: View;
      readonly body: Uint8Array;
    }
  | {
      readonly kind: "reject";
      readonly session: Op;
      readonly requestNumber: number;
      readonly reason: "not_primary" | "busy" | "no_session" | "request_mismatch" | "out_of_order";
      readonly view: View;
      readonly retryMs: number;
    }
  /** `entries`: encoded entries (entry.ts), ascending, each behind its u32 length. */
  | {
      readonly kind: "read_reply";
      readonly id: number;
      readonly answer: RoomAnswer;
      readonly entries: Uint8Array;
    }
  | { readonly kind: "watched"; readonly id: number; readonly answer: RoomAnswer }
  /** Newly committed entries of a watched room, ascending, without holes within the frame. */
  | { readonly kind: "entries"; readonly name: RoomName; readonly entries: Uint8Array };
