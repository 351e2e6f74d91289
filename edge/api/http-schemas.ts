import {
  Array as ListOf,
  Boolean as Bool,
  Integer,
  Object as ObjectOf,
  Optional,
  String as Text,
} from "typebox";
import type { Static } from "typebox";
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
import { postResultSchema, readResultSchema } from "./server-frames.ts";

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
    description: "The entry. `from` is for API keys only: the user in whose name it is posted.",
    examples: [{ type: "msg", body: "Hello" }],
  },
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
/** Body of POST /v1/logins. */
export type LoginRequest = Static<typeof loginRequestSchema>;
