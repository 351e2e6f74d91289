import { keyField, limitField, positionField } from "./fields.ts";
import { roomField, seqField, threadField, userField } from "./fields.ts";
import type { HttpCall, HttpParameter } from "./http-call.ts";
import type { HttpSchemaName } from "./http-schemas.ts";
import { longPollSMax, snapshotMessagesMax } from "./limits.ts";
import { memberCalls } from "./member-calls.ts";
import { auditCalls, proofCalls } from "./proof-calls.ts";

const json = "application/json";
const inRoom: readonly HttpParameter[] = [
  { name: "room", in: "path", required: true, schema: roomField },
];
const inLog: readonly HttpParameter[] = [
  ...inRoom,
  { name: "thread", in: "query", required: false, schema: threadField },
];
const shardErrors = ["NO_ROOM", "RATE_LIMITED", "NO_LEADER"] as const;
const tokenErrors = ["TOKEN_EXPIRED", "TOKEN_INVALID", "DENIED"] as const;

function answer(description: string, schema: HttpSchemaName | null, mediaType = json) {
  return { description, schema, mediaType };
}

function optional(place: "query" | "header", name: string, schema: object): HttpParameter {
  return { name, in: place, required: false, schema };
}

function described(schema: object, description: string): object {
  return { ...schema, description };
}

const lastEventId = {
  type: "string",
  pattern: "^[0-9]{1,16}:[0-9]{1,16}$",
  description: "Position to resume from, epoch:seq, as in the id of the last SSE event.",
};
const waitField = {
  type: "integer",
  minimum: 1,
  maximum: longPollSMax,
  description:
    "Long poll: answer with ReadResult as soon as there is an entry after the " +
    "position, or with an empty page after this many seconds.",
};

const roomCalls: readonly HttpCall[] = [
  {
    id: "createRoom",
    method: "post",
    path: "/v1/rooms",
    auth: ["apiKey"],
    parameters: [],
    summary: "Create a room",
    description: "Harmless when the room exists.",
    body: "RoomRequest",
    answers: {
      200: answer("It existed before.", "Room"),
      201: answer("Created.", "Room"),
    },
    errors: [
      "BAD_FRAME",
      "TOKEN_INVALID",
      "DENIED",
      "RATE_LIMITED",
      "NO_LEADER",
      "UNKNOWN_OUTCOME",
    ],
  },
  {
    id: "createDm",
    method: "post",
    path: "/v1/dms",
    auth: ["apiKey", "cookie"],
    parameters: [],
    summary: "Create the room of two people",
    description:
      "The room's id follows from the sorted pair, so both orders give one room. It is closed to " +
      "others, and who is in it never changes. A login may open those that it is one of.",
    body: "DmRequest",
    answers: {
      200: answer("It existed before.", "Room"),
      201: answer("Created.", "Room"),
    },
    errors: [
      "BAD_FRAME",
      "TOKEN_INVALID",
      "DENIED",
      "RATE_LIMITED",
      "NO_LEADER",
      "UNKNOWN_OUTCOME",
    ],
  },
  {
    id: "createSession",
    method: "post",
    path: "/v1/rooms/{room}/sessions",
    auth: ["apiKey", "cookie"],
    parameters: inRoom,
    summary: "Mint a session token",
    description:
      "By the application's server with its API key, or by a logged-in page for " +
      "itself. The token is short-lived: mint another before it ends and send `refresh`.",
    body: "SessionRequest",
    answers: { 201: answer("The token.", "Session") },
    errors: ["BAD_FRAME", "TOKEN_INVALID", "DENIED", "RATE_LIMITED"],
  },
  {
    id: "roomHead",
    method: "get",
    path: "/v1/rooms/{room}/head",
    auth: ["session", "apiKey"],
    parameters: inLog,
    summary: "Position of a room",
    description: "",
    body: null,
    answers: { 200: answer("The position.", "Room") },
    errors: [...tokenErrors, ...shardErrors],
  },
];

const eventCalls: readonly HttpCall[] = [
  {
    id: "post",
    method: "post",
    path: "/v1/rooms/{room}/events",
    auth: ["session", "apiKey"],
    parameters: [
      ...inLog,
      { name: "Idempotency-Key", in: "header", required: true, schema: keyField },
    ],
    summary: "Post an entry",
    description:
      "Answered once two of three disks hold it. Repeating it with the same key is " +
      "always safe and gives the same seq with dup: true.",
    body: "PostRequest",
    answers: {
      200: answer("Committed before.", "PostResult"),
      201: answer("Committed.", "PostResult"),
    },
    errors: [
      "BAD_FRAME",
      ...tokenErrors,
      ...shardErrors,
      "KEY_MISMATCH",
      "KEY_TOO_OLD",
      "KEY_IN_FUTURE",
      "BANNED",
      "MUTED",
      "QUOTA",
      "BAD_TARGET",
      "STALE",
      "REDACTED",
      "BAD_POST",
      "TOO_LARGE",
      "UNKNOWN_OUTCOME",
    ],
  },
  {
    id: "read",
    method: "get",
    path: "/v1/rooms/{room}/events",
    auth: ["session", "apiKey"],
    parameters: [
      ...inLog,
      optional("query", "after", positionField),
      optional("query", "before", seqField),
      optional("query", "limit", limitField),
    ],
    summary: "Read committed entries",
    description:
      "Those after a seq (oldest first), or the last ones before a seq; without " +
      "either, the newest. Events come in rising seq always.",
    body: null,
    answers: { 200: answer("A page.", "ReadResult") },
    errors: ["BAD_FRAME", ...tokenErrors, ...shardErrors, "BELOW_FLOOR"],
  },
  {
    id: "snapshot",
    method: "get",
    path: "/v1/rooms/{room}/snapshot",
    auth: ["session", "apiKey"],
    parameters: [
      ...inLog,
      optional("query", "at", positionField),
      optional("query", "before", described(seqField, "Messages before this seq only.")),
      optional("query", "limit", {
        ...limitField,
        maximum: snapshotMessagesMax,
        description: `Messages at most, 1 to ${snapshotMessagesMax}; 50 when absent.`,
      }),
      optional("query", "members_after", described(userField, "Members behind this user's id.")),
    ],
    summary: "A room as of a seq",
    description:
      "Settings, members and messages after edits, redactions and reactions, as of entry `at` " +
      "(the head when absent), messages a page at a time: give the answer's `before`, and the " +
      "same `at`, for the page before. A text that was redacted later is gone here too. " +
      "To replay from there: read /events?after={at}, or attach with since {epoch, seq: at}.",
    body: null,
    answers: { 200: answer("The snapshot.", "Snapshot") },
    errors: ["BAD_FRAME", ...tokenErrors, ...shardErrors, "BANNED", "BELOW_FLOOR", "TOO_LARGE"],
  },
  {
    id: "stream",
    method: "get",
    path: "/v1/rooms/{room}/stream",
    auth: ["session", "apiKey"],
    parameters: [
      ...inLog,
      optional("query", "after", positionField),
      optional("query", "wait", waitField),
      optional("header", "Last-Event-ID", lastEventId),
    ],
    summary: "Follow a room without a WebSocket",
    description:
      "Server-sent events: `event: ev` with data = Entry and id = epoch:seq; " +
      "`event: attached` first with {epoch, head, floor, next, recovered}; `event: gap` with " +
      "{from, to}; `event: skip` with {to}: hidden up to there; `event: drain` with " +
      "{window_ms}. Starts after Last-Event-ID, else after " +
      "`after`, else at the head.",
    body: null,
    answers: {
      200: answer("The stream, or with `wait` one page (ReadResult).", null, "text/event-stream"),
    },
    errors: ["BAD_FRAME", ...tokenErrors, ...shardErrors, "EPOCH_CHANGED"],
  },
];

const pageCalls: readonly HttpCall[] = [
  {
    id: "login",
    method: "post",
    path: "/v1/logins",
    auth: [],
    parameters: [],
    summary: "Log in with a one-time code",
    description: "For the built-in page: sets an HttpOnly, SameSite=Strict cookie.",
    body: "LoginRequest",
    answers: { 201: answer("Logged in.", "Login") },
    errors: ["BAD_FRAME", "TOKEN_INVALID", "RATE_LIMITED"],
  },
  {
    id: "whoAmI",
    method: "get",
    path: "/v1/logins",
    auth: ["cookie"],
    parameters: [],
    summary: "Who is logged in",
    description: "",
    body: null,
    answers: { 200: answer("The login.", "Login") },
    errors: ["TOKEN_INVALID"],
  },
  {
    id: "health",
    method: "get",
    path: "/healthz",
    auth: [],
    parameters: [],
    summary: "Alive",
    description: "",
    body: null,
    answers: { 200: answer("Alive.", "Health") },
    errors: [],
  },
  {
    id: "ready",
    method: "get",
    path: "/readyz",
    auth: [],
    parameters: [],
    summary: "Takes connections",
    description: "200 while connections are welcome; 503 while draining or without a shard.",
    body: null,
    answers: { 200: answer("Ready.", "Health"), 503: answer("Not ready.", "Health") },
    errors: [],
  },
];

/** All HTTP calls. */
export const httpCalls: readonly HttpCall[] = [
  ...roomCalls,
  ...eventCalls,
  ...memberCalls,
  ...proofCalls,
  ...auditCalls,
  ...pageCalls,
];
