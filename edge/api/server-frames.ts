import {
  Array as ListOf,
  Boolean as Bool,
  Integer,
  Literal,
  Object as ObjectOf,
  Optional,
  String as Text,
  Union,
} from "typebox";
import type { Static, TObject } from "typebox";
import { roles } from "#replica/wire/entry-body.ts";
import {
  entryFields,
  entrySchema,
  epochField,
  positionField,
  retryField,
  ridField,
  roomField,
  seqField,
  signalKindField,
  threadField,
  timeField,
  userField,
} from "./fields.ts";

const key1 = "019ae0c4-5b1c-7a31-8f0e-3d2c1b0a9f8e";

function count(description: string) {
  return Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description });
}

/** What a client may do on this connection. */
export const limitsSchema = ObjectOf(
  {
    frame_bytes: count("Bytes of one frame from the client, at most."),
    body_bytes: count("Bytes of a body, at most."),
    rooms: count("Attached rooms, at most."),
    read_entries: count("Entries of one read or tail, at most."),
    recover_entries: count("Entries that attach with `since` replays, at most."),
    posts_pending: count("Unanswered posts, at most."),
    frames_per_s: count("Frames a second, lasting."),
    frames_burst: count("Frames at once, at most."),
    posts_per_s: count("Posts a second, lasting."),
    posts_burst: count("Posts at once, at most."),
    types: ListOf(Text(), { description: "Types of entry that may be posted now." }),
  },
  { description: "Limits of this connection. More members may appear." },
);

/** First frame of the server. */
export const serverHelloFrame = ObjectOf(
  {
    op: Literal("hello"),
    conn: Text({ description: "Id of the connection, for the server's logs." }),
    ping_ms: count("The server pings about this often."),
    pong_ms: count("Without a frame from the client this long after a ping, it hangs up."),
    limits: limitsSchema,
    time: timeField,
  },
  {
    description: "Answer to the client's `hello`; only now may other frames be sent.",
    examples: [
      {
        op: "hello",
        conn: "c-1f",
        ping_ms: 25000,
        pong_ms: 10000,
        time: 1790000000000000,
        limits: {
          frame_bytes: 65536,
          body_bytes: 16384,
          rooms: 128,
          read_entries: 200,
          recover_entries: 1000,
          posts_pending: 64,
          frames_per_s: 20,
          frames_burst: 60,
          posts_per_s: 5,
          posts_burst: 20,
          types: ["msg", "edit"],
        },
      },
    ],
  },
);

/** `result` of a post. */
export const postResultSchema = ObjectOf(
  {
    epoch: epochField,
    seq: seqField,
    t: timeField,
    dup: Optional(Bool({ description: "true: this key was committed before, at this seq." })),
  },
  { description: "Result of `post`. The same seq comes with every retry of the same key." },
);

/** `result` of a read. */
export const readResultSchema = ObjectOf(
  {
    epoch: epochField,
    head: positionField,
    floor: positionField,
    events: ListOf(entrySchema, { description: "Entries in rising seq, possibly none." }),
    skips: Optional(
      ListOf(
        ObjectOf({ from: seqField, to: seqField }, { description: "From and to, both included." }),
        { description: "Entries of this page that are hidden from this viewer; absent: none." },
      ),
    ),
  },
  {
    description:
      "Result of `read`. head: seq of the newest committed entry; floor: seq of the " +
      "oldest entry kept.",
  },
);

/** `result` of a refresh. */
export const refreshResultSchema = ObjectOf(
  { expires: Integer({ minimum: 0, description: "Seconds since 1970 when the token ends." }) },
  { description: "Result of `refresh`." },
);

/** `result` of a detach. */
export const emptyResultSchema = ObjectOf({}, { description: "Result of `detach`." });

/** Success. */
export const okFrame = ObjectOf(
  {
    op: Literal("ok"),
    id: Text({ description: "Of the frame that is answered." }),
    result: Union([postResultSchema, readResultSchema, refreshResultSchema, emptyResultSchema]),
  },
  {
    description: "The frame with this id succeeded.",
    examples: [
      { op: "ok", id: "3", result: { epoch: 1, seq: 42, t: 1790000000000000 } },
      { op: "ok", id: "3", result: { epoch: 1, seq: 42, t: 1790000000000000, dup: true } },
      {
        op: "ok",
        id: "5",
        result: {
          epoch: 1,
          head: 42,
          floor: 1,
          events: [
            {
              seq: 42,
              t: 1790000000000000,
              type: "msg",
              from: "ann",
              key: key1,
              body: "Hello",
            },
          ],
        },
      },
      { op: "ok", id: "7", result: {} },
      { op: "ok", id: "8", result: { expires: 1790000600 } },
    ],
  },
);

/** Failure. */
export const errFrame = ObjectOf(
  {
    op: Literal("err"),
    id: Text({ description: "Of the frame that failed; empty when it answers none." }),
    code: Integer({ minimum: 400, maximum: 599, description: "See the table of errors." }),
    name: Text({ pattern: "^[A-Z_]{1,32}$", description: "Stable name of the error." }),
    message: Text({ description: "A sentence for the developer." }),
    retryable: Bool({ description: "true: the same frame may succeed later, unchanged." }),
    retry_ms: Optional(retryField),
    room: Optional(roomField),
    thread: Optional(threadField),
  },
  {
    description:
      "The frame with this id failed. With an empty id and a room: the room was detached for " +
      "that reason (TOKEN_EXPIRED, DENIED, BANNED). With an empty id and no room: the " +
      "connection ends " +
      "with the close code of the table.",
    examples: [
      {
        op: "err",
        id: "3",
        code: 504,
        name: "UNKNOWN_OUTCOME",
        message: "No answer from the shard in time.",
        retryable: true,
        retry_ms: 200,
      },
      {
        op: "err",
        id: "",
        room: "lobby",
        code: 401,
        name: "TOKEN_EXPIRED",
        message: "The token ended and was not refreshed.",
        retryable: false,
      },
    ],
  },
);

/** What a user is in a room. */
export const standingSchema = ObjectOf(
  {
    role: Text({
      enum: [...roles],
      description: "none, reader, member, moderator or owner.",
    }),
    marker: positionField,
    muted_until: Optional(timeField),
    banned_until: Optional(timeField),
  },
  { description: "What the user is in the room now. marker: seq of the last read marker, or 0." },
);

/** A room is followed now. */
export const attachedFrame = ObjectOf(
  {
    op: Literal("attached"),
    id: Text({ description: "Of the attach frame." }),
    room: roomField,
    thread: Optional(threadField),
    rid: ridField,
    epoch: epochField,
    head: positionField,
    floor: positionField,
    next: seqField,
    recovered: Bool({
      description:
        "true: `since` was honoured and every later entry follows. false: `since` was absent, " +
        "of another epoch, ahead of head, below floor or too far back; nothing is recovered " +
        "in part.",
    }),
    you: Optional(standingSchema),
  },
  {
    description:
      "The room is followed. head: newest entry now; floor: oldest entry kept; next: seq of the " +
      "first entry that follows by itself. Between the client's position and next the client " +
      "reads by `read`.",
    examples: [
      {
        op: "attached",
        id: "2",
        room: "lobby",
        rid: 7,
        epoch: 1,
        head: 44,
        floor: 1,
        next: 42,
        recovered: true,
        you: { role: "member", marker: 41 },
      },
    ],
  },
);

/** An entry. */
export const evFrame = ObjectOf(
  { op: Literal("ev"), rid: ridField, ...entryFields },
  {
    description: "A committed entry of an attached room; seq is the one before plus 1.",
    examples: [
      {
        op: "ev",
        rid: 7,
        seq: 42,
        t: 1790000000000000,
        type: "msg",
        from: "ann",
        key: key1,
        body: "Hello",
      },
      {
        op: "ev",
        rid: 7,
        seq: 43,
        t: 1790000000000100,
        type: "msg",
        from: "bob",
        key: key1,
        parent: 42,
        body_b64: "AP8=",
      },
      {
        op: "ev",
        rid: 7,
        seq: 44,
        t: 1790000000000200,
        type: "ban",
        from: "ann",
        key: key1,
        body: '{"user":"eve","until":0}',
        only: "staff",
      },
    ],
  },
);

/** Hidden entries. */
export const skipFrame = ObjectOf(
  { op: Literal("skip"), rid: ridField, to: seqField },
  {
    description: "Entries up to and including `to` exist but are hidden from this viewer.",
    examples: [{ op: "skip", rid: 7, to: 45 }],
  },
);

/** Announcement of a room's newest seq. */
export const headFrame = ObjectOf(
  { op: Literal("head"), rid: ridField, seq: seqField },
  {
    description:
      "The room's newest seq, sent 250 ms, 1 s, 5 s and 30 s after its last entry. A client " +
      "that holds less has lost the tail and reads it.",
    examples: [{ op: "head", rid: 7, seq: 45 }],
  },
);

/** A hole to be read. */
export const gapFrame = ObjectOf(
  { op: Literal("gap"), rid: ridField, from: seqField, to: seqField },
  {
    description:
      "Entries from..to (both included) were not sent to this connection: it was too slow, or " +
      "they were lost on the way. Read them with `read`; the next `ev` is to + 1.",
    examples: [{ op: "gap", rid: 7, from: 46, to: 120 }],
  },
);

/** A checkpoint. */
export const ckptFrame = ObjectOf(
  {
    op: Literal("ckpt"),
    rid: ridField,
    size: count("Records of the log of the room's shard, as the note says."),
    root: Text({ description: "Merkle root over them, base64, as the note says." }),
    note: Text({
      maxLength: 4096,
      description:
        "Signed note (C2SP tlog-checkpoint): signed by the log, cosigned by two of three " +
        "replicas. Verify it; size and root beside it are for convenience.",
    }),
    consistency: Optional(
      Text({
        maxLength: 8192,
        description:
          "Once, after a hello with `ckpt`: the proof that this log extends that checkpoint " +
          "(C2SP tlog-witness: `old <size>`, hashes, an empty line, the note). Verify it from" +
          " the root that you keep: a proof that does not hold is a fork.",
      }),
    ),
  },
  {
    description:
      "The newest signed checkpoint of the room's shard. Pushed within seconds after an attach " +
      "and after entries, at most once in ten seconds a room, and not while the client has " +
      "much else to read. A client that keeps the last one verified compares: a log that " +
      "does not extend it (`GET \u2026/consistency`) was forked.",
    examples: [
      {
        op: "ckpt",
        rid: 7,
        size: 45,
        root: "qAPjlmA8kE3TLPOn6yB1aOpjd4ttNyDGYoQjMcR5h+A=",
        note:
          "tigerchat.dev/8f14e45fceea167a5a36dedd4bea2543/lobby/1\n45\n" +
          "qAPjlmA8kE3TLPOn6yB1aOpjd4ttNyDGYoQjMcR5h+A=\n\n\u2014 log AAAA\n",
      },
    ],
  },
);

/** A passing sign. */
export const serverSignalFrame = ObjectOf(
  { op: Literal("signal"), rid: ridField, kind: signalKindField, from: userField },
  {
    description: "A passing sign of somebody in the room. May be lost; never logged.",
    examples: [{ op: "signal", rid: 7, kind: "typing", from: "ann" }],
  },
);

/** A question for life. */
export const pingFrame = ObjectOf(
  { op: Literal("ping") },
  { description: "Answer with `pong`.", examples: [{ op: "ping" }] },
);

/** This edge goes away. */
export const drainFrame = ObjectOf(
  {
    op: Literal("drain"),
    window_ms: count("Leave at a random time within this window."),
    reason: Text({ description: "For logs." }),
  },
  {
    description:
      "This edge process goes away. Wait random(0, window_ms), then reconnect and attach with " +
      "`since`. Posting and reading work until the close (4512).",
    examples: [{ op: "drain", window_ms: 10000, reason: "shutdown" }],
  },
);

/** Schemas of the frames that the edge sends, by `op`. */
export const serverFrames = {
  hello: serverHelloFrame,
  ok: okFrame,
  err: errFrame,
  attached: attachedFrame,
  ev: evFrame,
  skip: skipFrame,
  head: headFrame,
  gap: gapFrame,
  ckpt: ckptFrame,
  signal: serverSignalFrame,
  ping: pingFrame,
  drain: drainFrame,
} as const;

/** Any frame schema, for tables. */
export type FrameSchema = TObject;

/** A frame from the edge. */
export type ServerFrame = {
  [Op in keyof typeof serverFrames]: Static<(typeof serverFrames)[Op]>;
}[keyof typeof serverFrames];
