import { assert } from "#replica/base/assert.ts";
import { messageBodyBytesMax, nameBytesMax, readEntriesMax } from "#replica/base/limits.ts";

/** Subprotocol of the JSON encoding; the only one so far. */
export const subprotocolJson = "tigerchat.v1.json";
/** Path of the WebSocket on the edge. */
export const socketPath = "/v1/ws";

/** Bytes of one WebSocket message from a client, at most. */
export const frameBytesMax = 64 * 1024;
/** Bytes of a decoded body, at most. */
export const bodyBytesMax = messageBodyBytesMax;
/** Characters of a body in base64, at most. */
export const bodyBase64CharsMax = Math.ceil(bodyBytesMax / 3) * 4;
/** Characters (all of them ASCII) of a room, user or tenant id, at most. */
export const idCharsMax = nameBytesMax;
/** Characters of a correlation id, at most. */
export const correlationCharsMax = 64;
/** Characters of a token, at most. */
export const tokenCharsMax = 4096;
/** Entries of one read or `tail`, at most. */
export const pageEntriesMax = readEntriesMax;
/** Messages of one page of a snapshot at most. */
export const snapshotMessagesMax = 100;
/** Entries that an attach with `since` replays, at most; beyond it `recovered` is false. */
export const recoverEntriesMax = 1000;
/** Rooms attached on one connection, at most. */
export const roomsPerConnectionMax = 128;
/** Posts of one connection that wait for their answer, at most. */
export const postsPendingMax = 64;
/** Reads and attaches of one connection that wait for their answer, at most. */
export const readsPendingMax = 16;

/** Time from the opened socket to `hello`, and from there to the first attached room. */
export const helloDeadlineMs = 10_000;
/** Time between two `ping` frames; each connection varies it by up to a tenth. */
export const pingIntervalMs = 25_000;
/** Time without any frame from the client after a `ping`, before the connection is ended. */
export const pongDeadlineMs = 10_000;
/** Time after a token's `exp` until its room is detached, unless refreshed. */
export const tokenGraceMs = 30_000;
/** Lifetime of a session token, at most. */
export const tokenLifetimeSMax = 600;
/** Tolerated difference of clocks for `exp` and `nbf`. */
export const clockSkewS = 30;
/** After the last event of a room its head is announced at these times. */
export const headAnnounceMs: readonly number[] = [250, 1_000, 5_000, 30_000];
/** Seconds of a long poll, at most. */
export const longPollSMax = 25;

assert(frameBytesMax > 2 * bodyBytesMax, "EDA-01: a body fits a frame when escaped");
assert(pongDeadlineMs < pingIntervalMs, "EDA-01: one ping is in flight at a time");
assert(postsPendingMax >= 1 && readsPendingMax >= 1, "EDA-01: work can be in flight");
