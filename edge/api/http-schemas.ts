import {
  Array as ListOf,
  Boolean as Bool,
  Integer,
  Object as ObjectOf,
  Optional,
  String as Text,
} from "typebox";
import type { Static } from "typebox";
import { roles, untilForever } from "#replica/wire/entry-body.ts";
import {
  bodyBase64Field,
  bodyField,
  entrySchema,
  epochField,
  oneBody,
  positionField,
  retryField,
  roomField,
  seqField,
  typeField,
  userField,
} from "./fields.ts";
import { tokenLifetimeSMax } from "./limits.ts";
import { snapshotSchema } from "./snapshot-schema.ts";
import { postResultSchema, readResultSchema, standingSchema } from "./server-frames.ts";

/** Body of POST /v1/rooms. */
export const roomRequestSchema = ObjectOf(
  { room: roomField, creator: Optional(userField) },
  {
    description: "The room to create; `creator` is the API key's id when absent.",
    examples: [{ room: "lobby" }],
  },
);

/** Answer of POST /v1/rooms, /v1/dms and GET head. */
export const roomSchema = ObjectOf(
  {
    room: roomField,
    epoch: epochField,
    head: positionField,
    floor: positionField,
    created: Optional(Bool({ description: "false: the room was there before." })),
  },
  { description: "A room's position. head: newest entry; floor: oldest entry kept." },
);

/** Body of POST /v1/dms. */
export const dmRequestSchema = ObjectOf(
  {
    users: ListOf(userField, {
      minItems: 2,
      maxItems: 2,
      description: "Both people, in any order.",
    }),
  },
  {
    description: "A room of two people; its id follows from the pair.",
    examples: [{ users: ["ann", "bob"] }],
  },
);

/** Body of POST /v1/rooms/{room}/sessions. */
export const sessionRequestSchema = ObjectOf(
  {
    user: Optional(userField),
    scopes: Optional(
      ListOf(
        Text({ enum: ["read", "post", "signal"], description: "One thing that the token allows." }),
        { maxItems: 8, description: "All three when absent." },
      ),
    ),
    ttl_s: Optional(
      Integer({
        minimum: 10,
        maximum: tokenLifetimeSMax,
        description: `Seconds until the token ends, at most ${tokenLifetimeSMax}, the default.`,
      }),
    ),
  },
  {
    description: "Who the session is for. With a login cookie `user` is the login's own.",
    examples: [{ user: "ann", scopes: ["read", "post", "signal"] }],
  },
);

/** Answer of POST /v1/rooms/{room}/sessions. */
export const sessionSchema = ObjectOf(
  {
    token: Text({ description: "For `attach` and `refresh`, or as bearer of HTTP calls." }),
    expires: Integer({ description: "Seconds since 1970 when the token ends." }),
    url: Text({ description: "WebSocket to connect to." }),
    user: userField,
  },
  { description: "A session of one user in one room." },
);

/** Body of POST /v1/rooms/{room}/events. */
export const postRequestSchema = ObjectOf(
  {
    type: Optional(typeField),
    parent: Optional(seqField),
    body: Optional(bodyField),
    body_b64: Optional(bodyBase64Field),
    from: Optional(userField),
  },
  {
    ...oneBody,
    description:
      "The entry, as in the frame `post`. `from` is for API keys only: the user in whose name it " +
      "is posted, with the server's authority: roles, bans and mutes are not looked at.",
    examples: [{ type: "msg", body: "Hello" }],
  },
);

/** Body of PUT …/members/{user}. */
export const memberRequestSchema = ObjectOf(
  {
    role: Text({
      enum: roles.filter((role) => role !== "none"),
      description: "reader, member, moderator or owner.",
    }),
    from: Optional(userField),
  },
  {
    description: "The role. `from` is for API keys only: in whose name; the key's id when absent.",
    examples: [{ role: "moderator" }],
  },
);

/** Body of PUT …/bans/{user} and …/mutes/{user}. */
export const sanctionRequestSchema = ObjectOf(
  {
    until: Optional(
      Integer({
        minimum: 1,
        maximum: untilForever,
        description: "Log time, microseconds since 1970, when it ends; without end when absent.",
      }),
    ),
    from: Optional(userField),
  },
  {
    description: "Until when. `from`: as in MemberRequest.",
    examples: [{}, { until: 1790000000000000 }],
  },
);

/** Body of PUT …/settings. */
export const settingsRequestSchema = ObjectOf(
  {
    closed: Bool({ description: "Only members may read and post." }),
    readonly: Bool({ description: "Only moderators and owners may post messages." }),
    fromJoin: Bool({ description: "Members see what was committed since they joined." }),
    privateMarkers: Bool({ description: "Read markers are seen by their sender only." }),
    from: Optional(userField),
  },
  {
    description: "All settings of the room, each time. `from`: as in MemberRequest.",
    examples: [{ closed: true, readonly: false, fromJoin: false, privateMarkers: false }],
  },
);

function quota(description: string) {
  return Optional(Integer({ minimum: 0, maximum: 2 ** 32 - 1, description }));
}

/** Body of PUT /v1/quotas and …/quotas. */
export const quotasRequestSchema = ObjectOf(
  {
    version: Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "Higher than that of the quotas before; the same again is harmless.",
    }),
    rooms: quota("Rooms of the tenant; of a room: threads under it."),
    members: quota("People with a role in one room."),
    entries_per_s: quota("Entries in one second of log time, a room's with its threads."),
  },
  {
    description: "The quotas; what is 0 or absent is not limited.",
    examples: [{ version: 2, rooms: 1000, members: 500, entries_per_s: 50 }],
  },
);

/** Body of PUT /v1/retention and …/retention. */
export const retentionRequestSchema = ObjectOf(
  {
    version: Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "Higher than that of the retention before; the same again is harmless.",
    }),
    age_s: quota("Entries older than this many seconds are let go; 0 or absent: kept."),
    entries: quota("Entries that a room keeps; 0 or absent: all."),
    bytes: Optional(
      Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description:
          "Bytes that a room keeps at least, head and sender of an entry included, counted from " +
          "now on; 0 or absent: all.",
      }),
    ),
    hold: Optional(Bool({ description: "Legal hold: nothing is let go, no text is destroyed." })),
  },
  {
    description: "How long history is kept; of a tenant: by rooms without one of their own.",
    examples: [{ version: 1, age_s: 31_536_000 }],
  },
);

/** Answer of PUT quotas and retention. */
export const quotasSchema = ObjectOf(
  { version: Integer({ description: "Version in force." }) },
  { description: "They hold from now on." },
);

/** Body of POST /v1/logins. */
export const loginRequestSchema = ObjectOf(
  { code: Text({ minLength: 4, maxLength: 128, description: "One-time code." }) },
  {
    description: "A one-time code, good for one login.",
    examples: [{ code: "7Q4M-2XKD" }],
  },
);

/** Answer of POST /v1/logins and GET /v1/logins. */
export const loginSchema = ObjectOf(
  {
    user: userField,
    name: Text({ description: "Name to show." }),
    rooms: ListOf(roomField, { description: "Rooms for which this login may mint sessions." }),
  },
  { description: "Who is logged in." },
);

/** Body of every failure: RFC 9457. */
export const problemSchema = ObjectOf(
  {
    type: Text({ description: "urn:tigerchat:error:NAME." }),
    title: Text({ description: "What the error means." }),
    status: Integer({ description: "HTTP status." }),
    code: Integer({ description: "Code of the table of errors." }),
    name: Text({ description: "Stable name of the error." }),
    detail: Text({ description: "A sentence about this case." }),
    retryable: Bool({ description: "true: the same call may succeed later, unchanged." }),
    retry_ms: Optional(retryField),
  },
  {
    description: "A failure (RFC 9457, application/problem+json).",
    examples: [
      {
        type: "urn:tigerchat:error:NO_ROOM",
        title: "There is no such room.",
        status: 404,
        code: 404,
        name: "NO_ROOM",
        detail: "There is no room nowhere.",
        retryable: false,
      },
    ],
  },
);

/** State of an edge. */
export const healthSchema = ObjectOf(
  { status: Text({ description: "ok, or why not." }) },
  { description: "State of this edge process." },
);

/** Named schemas of the HTTP calls. */
export const httpSchemas = {
  RoomRequest: roomRequestSchema,
  Room: roomSchema,
  DmRequest: dmRequestSchema,
  SessionRequest: sessionRequestSchema,
  Session: sessionSchema,
  PostRequest: postRequestSchema,
  PostResult: postResultSchema,
  Entry: entrySchema,
  ReadResult: readResultSchema,
  Standing: standingSchema,
  Snapshot: snapshotSchema,
  MemberRequest: memberRequestSchema,
  SanctionRequest: sanctionRequestSchema,
  SettingsRequest: settingsRequestSchema,
  QuotasRequest: quotasRequestSchema,
  Quotas: quotasSchema,
  RetentionRequest: retentionRequestSchema,
  LoginRequest: loginRequestSchema,
  Login: loginSchema,
  Problem: problemSchema,
  Health: healthSchema,
} as const;

/** Name of a schema in the OpenAPI document. */
export type HttpSchemaName = keyof typeof httpSchemas;

/** Body of POST /v1/rooms. */
export type RoomRequest = Static<typeof roomRequestSchema>;
/** Body of POST /v1/dms. */
export type DmRequest = Static<typeof dmRequestSchema>;
/** Body of POST /v1/rooms/{room}/sessions. */
export type SessionRequest = Static<typeof sessionRequestSchema>;
/** Body of POST /v1/rooms/{room}/events. */
export type PostRequest = Static<typeof postRequestSchema>;
/** Body of PUT …/members/{user}. */
export type MemberRequest = Static<typeof memberRequestSchema>;
/** Body of PUT …/bans/{user} and …/mutes/{user}. */
export type SanctionRequest = Static<typeof sanctionRequestSchema>;
/** Body of PUT …/settings. */
export type SettingsRequest = Static<typeof settingsRequestSchema>;
/** Body of PUT /v1/retention and …/retention. */
export type RetentionRequest = Static<typeof retentionRequestSchema>;
/** Body of PUT /v1/quotas and …/quotas. */
export type QuotasRequest = Static<typeof quotasRequestSchema>;
/** Body of POST /v1/logins. */
export type LoginRequest = Static<typeof loginRequestSchema>;
