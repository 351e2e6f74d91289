import { Integer, Literal, Object as ObjectOf, Optional, String as Text } from "typebox";
import type { Static } from "typebox";
import {
  bodyBase64CharsMax,
  bodyBytesMax,
  correlationCharsMax,
  idCharsMax,
  pageEntriesMax,
  tokenCharsMax,
} from "./limits.ts";

const idPattern = `^[A-Za-z0-9][A-Za-z0-9._:~@+-]{0,${idCharsMax - 1}}$`;
const idSyntax =
  `1 to ${idCharsMax} characters of A-Z a-z 0-9 . _ : ~ @ + -, the first a letter ` +
  "or digit; upper and lower case differ";
const base64Pattern = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
const keyPattern =
  "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}" + "-[0-9a-fA-F]{12}$";

/** Id of a room. */
export const roomField = Text({ pattern: idPattern, description: `Id of the room: ${idSyntax}.` });

/** Id of a user. */
export const userField = Text({ pattern: idPattern, description: `Id of a user: ${idSyntax}.` });

/** Correlation id of a frame. */
export const idField = Text({
  minLength: 1,
  maxLength: correlationCharsMax,
  description: "Chosen by the client, returned in the answer; unique among unanswered frames.",
});

/** A session token. */
export const tokenField = Text({
  minLength: 1,
  maxLength: tokenCharsMax,
  description: "Session token (JWT) for this room, from POST /v1/rooms/{room}/sessions.",
});

/** Idempotency key. */
export const keyField = Text({
  pattern: keyPattern,
  description:
    "Idempotency key: a UUIDv7 made once for the message and kept through all retries. The room " +
    "remembers it per sender for 24 hours. Returned in lower case.",
});

/** Types of entry that may be posted, as frames name them. */
export const postTypes = [
  "msg",
  "edit",
  "redact",
  "react",
  "unreact",
  "marker",
  "member",
  "ban",
  "mute",
  "settings",
] as const;

/** Kind of an entry. */
export const typeField = Text({
  pattern: "^[a-z][a-z_]{0,31}$",
  description:
    "What the entry is: msg when posted without. hello.limits.types lists those that may be " +
    "posted; `thread` is written by the server. Clients ignore types they do not know, but count " +
    "their seq.",
});

/** Root of a thread. */
export const threadField = Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description:
    "Seq of the message that a thread hangs on: the thread instead of the room. It has a seq of " +
    "its own, the room's members and rules, and is empty until its first message.",
});

/** What a signal says. */
export const signalKindField = Text({
  pattern: "^[a-z][a-z_]{0,31}$",
  description: "What it says: `typing`. Ignore kinds that you do not know.",
});

/** Text of a body. */
export const bodyField = Text({
  minLength: 1,
  maxLength: bodyBytesMax,
  description:
    `Text, at most ${bodyBytesMax} bytes of UTF-8; more is TOO_LARGE. A lone surrogate ` +
    "(half of a pair of \\u escapes) is refused: it is no text.",
});

/** Bytes of a body. */
export const bodyBase64Field = Text({
  minLength: 4,
  maxLength: bodyBase64CharsMax,
  pattern: base64Pattern,
  description: `Base64 (RFC 4648 section 4, padded) of a body that is not text, at most ${
    bodyBytesMax
  } bytes decoded. Stands instead of body.`,
});

/** Position in a room. */
export const seqField = Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "Position in the room: 1, 2, 3 … without holes, the same for everybody.",
});

/** Position in a room, or 0. */
export const positionField = Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "A seq, or 0 = before the first entry.",
});

/** Epoch of a room's history. */
export const epochField = Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "Changes only when the room's history was restored; seqs of two epochs differ.",
});

/** Log time. */
export const timeField = Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "Log time: integer microseconds since 1970-01-01T00:00:00Z, rising with seq.",
});

/** Number that stands for a room in server frames. */
export const ridField = Integer({
  minimum: 1,
  maximum: 2 ** 31 - 1,
  description:
    "Stands for the room in frames of this connection; learned from `attached`. May be another " +
    "number after a reconnect.",
});

/** Number of entries. */
export const limitField = Integer({
  minimum: 1,
  maximum: pageEntriesMax,
  description: `Entries at most, 1 to ${pageEntriesMax}; 50 when absent.`,
});

/** Milliseconds to wait. */
export const retryField = Integer({
  minimum: 0,
  maximum: 86_400_000,
  description: "Milliseconds to wait before a retry.",
});

/** A position that survives a reconnect. */
export const positionSchema = ObjectOf(
  { epoch: epochField, seq: positionField },
  { description: "The last entry that the client has processed, and its epoch." },
);

/** An entry's members besides `op` and `rid`. */
export const entryFields = {
  seq: seqField,
  t: timeField,
  type: typeField,
  from: userField,
  key: keyField,
  parent: Optional(seqField),
  body: Optional(Text({ description: "Text of the entry." })),
  body_b64: Optional(Text({ description: "Base64 of the body where it is not text." })),
  redacted: Optional(Literal(true, { description: "The body was destroyed; `body` is empty." })),
  only: Optional(
    Text({
      enum: ["staff", "own"],
      description:
        "Who else sees it: staff = moderators, owners and whom it is about; own = its sender. " +
        "Absent: everybody in the room.",
    }),
  ),
  authority: Optional(
    Literal(true, { description: "Posted by the tenant's server, whatever the sender's role." }),
  ),
};

/** One committed entry of a room. */
export const entrySchema = ObjectOf(entryFields, {
  description: "One committed entry. Exactly one of body and body_b64 is there.",
});

/** One committed entry as JSON. */
export type EntryJson = Static<typeof entrySchema>;

/** Not both of `body` and `body_b64`; one of them but for types that need none. */
export const oneBody = {
  not: { required: ["body", "body_b64"] },
  anyOf: [
    { required: ["body"] },
    { required: ["body_b64"] },
    { required: ["type"], properties: { type: { enum: ["redact", "marker"] } } },
  ],
};
