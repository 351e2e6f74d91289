import {
  Array as ListOf,
  Integer,
  Literal,
  Object as ObjectOf,
  Optional,
  String as Text,
} from "typebox";
import type { Static } from "typebox";
import {
  bodyBase64Field,
  bodyField,
  idField,
  keyField,
  limitField,
  oneBody,
  positionField,
  positionSchema,
  roomField,
  seqField,
  signalKindField,
  threadField,
  tokenField,
  typeField,
} from "./fields.ts";
import { pageEntriesMax, recoverEntriesMax } from "./limits.ts";

const token1 = "eyJhbGciOiJFZERTQSJ9.eyJyaWQiOiJsb2JieSJ9.c2ln";
const key1 = "019ae0c4-5b1c-7a31-8f0e-3d2c1b0a9f8e";

/** First frame of a connection. */
export const helloFrame = ObjectOf(
  {
    op: Literal("hello"),
    v: Literal(1, { description: "Version of the protocol." }),
    client: Text({
      minLength: 1,
      maxLength: 128,
      description: "Name and version of the client, for the server's logs.",
    }),
    caps: Optional(
      ListOf(Text({ maxLength: 32 }), {
        maxItems: 32,
        description: "Optional abilities of the client; none are defined yet.",
      }),
    ),
    ckpt: Optional(
      Text({
        maxLength: 8192,
        description:
          "Last verified checkpoint of a shard's log: the signed note, or its three lines of " +
          "text alone. With the first room of that shard that is attached comes a `ckpt` " +
          "frame with `consistency`, the proof that the log extends it. When none comes, the " +
          "log is another one, or shorter now: ask `GET \u2026/consistency`. What is no " +
          "checkpoint is ignored.",
      }),
    ),
  },
  {
    description: "Must be the first frame, within 10 s. Answered by the server's `hello`.",
    examples: [{ op: "hello", v: 1, client: "example/1.0" }],
  },
);

/** Follow a room. */
export const attachFrame = ObjectOf(
  {
    op: Literal("attach"),
    id: idField,
    room: roomField,
    token: tokenField,
    since: Optional(positionSchema),
    tail: Optional(
      Integer({
        minimum: 0,
        maximum: pageEntriesMax,
        description:
          "Send this many of the newest entries first. Used when `since` is absent or " +
          "cannot be honoured.",
      }),
    ),
    thread: Optional(threadField),
  },
  {
    description:
      "Follow a room. Answered by `attached`, then the entries from attached.next on, each once, " +
      `in order. since = resume: all later entries follow if they are at most ${
        recoverEntriesMax
      }. A room that is attached already is attached anew. Needs scope read, and the right to ` +
      "see the room: else DENIED or BANNED. The room is detached (`err` with an empty id) when " +
      "that right ends.",
    examples: [
      { op: "attach", id: "1", room: "lobby", token: token1, tail: 50 },
      { op: "attach", id: "2", room: "lobby", token: token1, since: { epoch: 1, seq: 41 } },
      { op: "attach", id: "9", room: "lobby", thread: 7, token: token1, tail: 50 },
    ],
  },
);

/** Stop following a room. */
export const detachFrame = ObjectOf(
  {
    op: Literal("detach"),
    id: idField,
    room: roomField,
    thread: Optional(threadField),
    token: Optional(tokenField),
  },
  {
    description: "Stop following a room. Answered by `ok`; no entry of the room follows it.",
    examples: [{ op: "detach", id: "7", room: "lobby" }],
  },
);

/** A newer token for an attached room. */
export const refreshFrame = ObjectOf(
  {
    op: Literal("refresh"),
    id: idField,
    room: roomField,
    thread: Optional(threadField),
    token: tokenField,
  },
  {
    description:
      "A newer token for an attached room, for the same user. Answered by `ok` with " +
      "{expires}. Without it the room is detached 30 s after the token's `exp`.",
    examples: [{ op: "refresh", id: "8", room: "lobby", token: token1 }],
  },
);

/** Post an entry. */
export const postFrame = ObjectOf(
  {
    op: Literal("post"),
    id: idField,
    room: roomField,
    thread: Optional(threadField),
    key: keyField,
    type: Optional(typeField),
    parent: Optional(seqField),
    body: Optional(bodyField),
    body_b64: Optional(bodyBase64Field),
  },
  {
    ...oneBody,
    description:
      "Post an entry to an attached room, or to a thread of it. `type` is msg when absent; " +
      "`parent` is the seq that it refers to; body or body_b64 as the type wants (see the types " +
      "of entries). Answered by `ok` with {epoch, seq, t, " +
      "dup?} once two of three disks hold it, or by `err`. Posts of one room are committed in " +
      "the order of their frames as long as none of them fails: after an `err` resend the " +
      "failed one, and all after it, in order. Needs scope post.",
    examples: [
      { op: "post", id: "3", room: "lobby", key: key1, type: "msg", body: "Hello" },
      { op: "post", id: "4", room: "lobby", key: key1, type: "msg", parent: 7, body_b64: "AP8=" },
      { op: "post", id: "10", room: "lobby", key: key1, type: "edit", parent: 7, body: "Hi" },
      { op: "post", id: "11", room: "lobby", key: key1, type: "redact", parent: 6 },
      { op: "post", id: "12", room: "lobby", thread: 7, key: key1, body: "An answer" },
    ],
  },
);

/** Read committed entries. */
export const readFrame = ObjectOf(
  {
    op: Literal("read"),
    id: idField,
    room: roomField,
    thread: Optional(threadField),
    after: Optional(positionField),
    before: Optional(seqField),
    limit: Optional(limitField),
  },
  {
    oneOf: [{ required: ["after"] }, { required: ["before"] }],
    description:
      "Read committed entries of an attached room: those after a seq (oldest first), or the " +
      "last ones before a seq. Exactly one of after and before. Answered by `ok` with {epoch, " +
      "floor, head, events, skips?}, events always in rising seq; skips name what is hidden from " +
      "this viewer, so that each seq of the page is in an event or in a skip. A page may be " +
      "shorter than limit: read on until it has neither or reaches head.",
    examples: [
      { op: "read", id: "5", room: "lobby", after: 41, limit: 200 },
      { op: "read", id: "6", room: "lobby", before: 42, limit: 50 },
    ],
  },
);

/** A passing sign to the others in a room. */
export const signalFrame = ObjectOf(
  {
    op: Literal("signal"),
    room: roomField,
    thread: Optional(threadField),
    kind: signalKindField,
  },
  {
    description:
      "A passing sign to the others in an attached room. Never logged, never answered, may be " +
      "lost. Needs scope signal.",
    examples: [{ op: "signal", room: "lobby", kind: "typing" }],
  },
);

/** Answer to `ping`. */
export const pongFrame = ObjectOf(
  { op: Literal("pong") },
  {
    description: "Answer to `ping`. Any other frame counts as life too.",
    examples: [{ op: "pong" }],
  },
);

/** Schemas of the frames that clients send, by `op`. */
export const clientFrames = {
  hello: helloFrame,
  attach: attachFrame,
  detach: detachFrame,
  refresh: refreshFrame,
  post: postFrame,
  read: readFrame,
  signal: signalFrame,
  pong: pongFrame,
} as const;

/** A frame from a client, checked. */
export type ClientFrame = {
  [Op in keyof typeof clientFrames]: Static<(typeof clientFrames)[Op]>;
}[keyof typeof clientFrames];
