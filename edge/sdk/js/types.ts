import type { LogPin } from "./log-pin.ts";
import type { ProvenCheckpoint } from "./receipt.ts";

/** One committed entry of a room. */
export interface ChatEntry {
  /** Position in the room: 1, 2, 3 … without holes, the same for everybody. */
  readonly seq: number;
  /** Log time, microseconds since 1970. */
  readonly timeUs: number;
  /** `msg`, `edit`, `redact` …, or a type of the future that an application ignores. */
  readonly type: string;
  /** User who posted it. */
  readonly from: string;
  /** Key that its sender chose: reconciles an optimistic message with its entry. */
  readonly key: string;
  /** Seq of the entry that it answers, or null. */
  readonly parent: number | null;
  /** Text, or null when the body is not text. */
  readonly body: string | null;
  /** Base64 of a body that is not text, or null. */
  readonly bodyBase64: string | null;
  /** True: the body was destroyed, `body` is empty. */
  readonly redacted: boolean;
  /** Who else sees it: staff, own = nobody; null = everybody in the room. */
  readonly only: string | null;
}

/** Types of entry that can be posted. */
export type PostType =
  | "msg"
  | "edit"
  | "redact"
  | "react"
  | "unreact"
  | "marker"
  | "member"
  | "ban"
  | "mute"
  | "settings";

/** What a user may be in a room. */
export type RoomRole = "none" | "reader" | "member" | "moderator" | "owner";

/** Rules of a room: all of them, each time. */
export interface RoomSettings {
  /** Only members may read and post. */
  readonly closed: boolean;
  /** Only moderators and owners may post messages. */
  readonly readonly: boolean;
  /** Members see what was committed since they joined. */
  readonly fromJoin: boolean;
  /** Read markers are seen by their sender only. */
  readonly privateMarkers: boolean;
}

/** What this user is in a room, as of the last attach. */
export interface Standing {
  readonly role: string;
  /** Seq of the last read marker, or 0. */
  readonly marker: number;
  /** Log time in microseconds, or null. */
  readonly mutedUntilUs: number | null;
}

/** Seqs from..to, both included, are hidden from this user. */
export interface Skip {
  readonly from: number;
  readonly to: number;
}

/** A post of this client that is not yet known to be committed. */
export interface PendingPost {
  readonly key: string;
  readonly type: PostType;
  /** Empty for types without one. */
  readonly body: string;
  readonly parent: number | null;
  /** queued: waits for its turn or the connection. sending: on its way. failed: see error. */
  readonly state: "queued" | "sending" | "failed";
  readonly error: ChatErrorFacts | null;
}

/** What an error says to a program. */
export interface ChatErrorFacts {
  /** Code of the published table. */
  readonly code: number;
  /** Stable name of the published table, e.g. `NO_ROOM`. */
  readonly name: string;
  readonly message: string;
  /** True when the same thing may succeed later, unchanged. */
  readonly retryable: boolean;
}

/** Answer to a post: on two of three disks. */
export interface PostAck {
  readonly epoch: number;
  readonly seq: number;
  readonly timeUs: number;
  /** True when the key had been committed before. */
  readonly dup: boolean;
}

/** A page of history, in rising seq. */
export interface Page {
  readonly entries: readonly ChatEntry[];
  /** Hidden from this user: with the entries each seq of the page once. */
  readonly skips: readonly Skip[];
  readonly epoch: number;
  readonly head: number;
  readonly floor: number;
}

/**
 * idle: not started. connecting: dialling or greeting. open: greeted. waiting: backing off.
 * stopped: closed by the application, or by the edge with a code that forbids to come back.
 */
export type ChatState = "idle" | "connecting" | "open" | "waiting" | "stopped";

/** detached: no connection. attaching: asked. live: entries come as they are committed. */
export type RoomState = "detached" | "attaching" | "live" | "stopped";

/** A signed checkpoint of the log of a room's shard, as the edge pushed it: not verified yet. */
export interface LogCheckpoint {
  /** Records of the log. */
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Signed note: what counts, once it is verified. */
  readonly note: string;
}

/** What a room tells. All are optional; called synchronously, in order. */
export interface RoomHandlers {
  /** Each entry once, in rising seq without holes from the first one on. */
  onEntry?(entry: ChatEntry): void;
  /** Own posts that are not committed yet, oldest first, after each change. */
  onPending?(pending: readonly PendingPost[]): void;
  onState?(state: RoomState): void;
  /** What was shown does not connect with what follows: drop it. `next`: first seq that follows. */
  onReset?(reset: { readonly epoch: number; readonly next: number }): void;
  /** A hole was seen; the SDK reads it by itself before anything later is given out. */
  onGap?(gap: { readonly from: number; readonly to: number }): void;
  /** The room is attached again; everything missed has been, or is being, given out. */
  onRecovered?(): void;
  /** A passing sign of somebody: typing. */
  onSignal?(signal: { readonly kind: string; readonly from: string }): void;
  /** The edge pushed a checkpoint of the shard's log; verify it, or give the room a `pin`. */
  onCheckpoint?(checkpoint: LogCheckpoint): void;
  /** The shard's log was checked with the room's `pin`: it extends all that was pinned before. */
  onVerified?(checkpoint: ProvenCheckpoint): void;
  /** Something failed that no promise reports; the SDK goes on when it is retryable. */
  onError?(error: ChatErrorFacts): void;
}

/** How a room is opened. */
export interface RoomOptions extends RoomHandlers {
  /** Root of a thread: the thread under that message instead of the room. */
  readonly thread?: number;
  /** Newest entries to give out first, 0 to 200; default 50. */
  readonly tail?: number;
  /**
   * Checked at each attach, and once a minute as checkpoints come: a shard whose log does not
   * extend it stops the room, HISTORY_FORK.
   */
  readonly pin?: LogPin;
  /** Position to resume from instead: the last entry that the application holds. */
  readonly since?: { readonly epoch: number; readonly seq: number };
}

/** A token, and optionally where to connect. */
export type TokenAnswer = string | { readonly token: string; readonly url?: string };

/** The part of the WHATWG WebSocket that the SDK uses. */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** Time and chance, injectable for tests. */
export interface Clock {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Calls back once; the result cancels. */
  after(delayMs: number, call: () => void): () => void;
  /** Uniform in [0, 1). */
  fraction(): number;
  /** Random bytes. */
  random(count: number): Uint8Array;
}

/** How to make a {@link Chat}. */
export interface ChatOptions {
  /** A session token for a room: from the application's server. Called again before it ends. */
  readonly getToken: (room: string) => Promise<TokenAnswer>;
  /** WebSocket of the edge; when absent, the `url` that came with a token. */
  readonly url?: string;
  /** Name and version of the application, for the server's logs. */
  readonly client?: string;
  readonly onState?: (state: ChatState) => void;
  /** Default: the runtime's WebSocket. */
  readonly socket?: (url: string, protocol: string) => SocketLike;
  /** Default: the runtime's clock. */
  readonly clock?: Clock;
}
