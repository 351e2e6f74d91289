import { errorTable } from "./errors.ts";
import { socketPath, subprotocolJson } from "./limits.ts";

const sequence = `
## Sequence of a connection

1. Your server mints a session token for a user and a room with its API key:
   POST /v1/rooms/{room}/sessions. Tokens travel in frames, never in a URL.
2. Open ${socketPath} with subprotocol ${subprotocolJson}. Every WebSocket message is one JSON
   object in a text message (no binary messages, no compression), with member op.
3. Send hello; wait for the server's hello. Then send attach for each room, each with its token.
4. attached answers, then ev frames come for its rid: first the replayed ones, then live ones,
   without a border between the two. The first has seq = attached.next, each next one + 1.
5. Send post with a fresh UUIDv7 as key. ok with seq means: on two of three disks. The same entry
   also comes back as ev, before or after the ok: match the two by key.
6. Stay within hello.limits: a message over frame_bytes ends the connection (close 4413), a body
   over body_bytes is answered TOO_LARGE, posts over the rate RATE_LIMITED with retry_ms.
7. Answer each ping with pong. A connection that is silent after a ping is ended.
8. Send refresh with a newer token before the old one ends.

Answers carry the id of the frame that they answer and may come in another order than the
questions. Ignore members, frames (op) and types of entry that you do not know.
`;

const positions = `
## Keeping the order without holes

Per room keep epoch and the seq of the last entry you processed.
- ev with seq <= yours: a repetition, drop it. seq = yours + 1: process it. Larger: a hole; read
  after your seq until you hold what was missing, then go on.
- skip: set your position to skip.to. gap: read the range from..to; the next ev is gap.to + 1.
- head with seq > yours: the tail is missing; read it. (Wait for what is on the way first: 1 s.)
- attached with recovered false, or an epoch that is not yours: what you hold does not connect
  with what follows. Same epoch: read from your position to next - 1 if you want all of it. Another
  epoch: drop what you hold and page back with read before next.
`;

const entries = `
## Types of entries

Everything that happens in a room is an entry with a seq. \`parent\` and \`body\` of a post:

| Type | parent | body | Who |
|---|---|---|---|
| msg | the entry it answers, or none | text, or bytes | members; in a readonly room moderators |
| edit | own message | the new text | its sender |
| redact | message or edit | a reason, or none | its sender; of others moderators |
| react, unreact | message | the reaction, up to 64 bytes | members |
| marker | the seq read up to | none | anybody who reads |
| member | none | {"user","role"} as JSON text | moderators over lower roles |
| ban, mute | none | {"user","until"} as JSON text | moderators over lower roles |
| settings | none | {"closed","readonly","fromJoin","privateMarkers"} as JSON text | owners |
| thread | the root | (written by the server: the first answer under a message) | |

role: none, reader, member, moderator, owner. until: log time in microseconds, 0 = lifted. In a room
that is not closed everybody counts as a member. An edit's text replaces the message's; of several
the highest seq counts. A redacted entry comes with \`redacted\` and an empty body when it is read
later; who holds it drops body and edits when the \`redact\` comes. Reactions count once a user.

A thread (\`thread\` in attach, post, read …) is a log of its own under a message, with its own
seq; it begins with its first msg. Entries that a viewer may not see come as \`skip\`, in pages as
\`skips\`: each seq is in exactly one of both.
`;

const posting = `
## Posting exactly once

Make the key once, keep it with the message, and repeat the post with the same key and content
until there is an answer: after UNKNOWN_OUTCOME, after a lost connection, through any edge, for 24
hours. A retry of something committed gives the same seq and dup true. To keep your own messages in
order, send the next post of a room only after the one before it is answered ok, or resend all that
follow a failed one.
`;

const reconnecting = `
## Reconnecting

Reconnect after any close but those of the table that say stop. Wait random(0, min(30 s, 0.5 s *
2^n)) before attempt n; set n to 0 only after a connection was up for 10 s. Close 4401: fetch new
tokens first, once. After drain: wait random(0, window_ms), open a new connection, attach with
since, then close the old one. After each reconnect attach with since = your position; rid may be
another number. Then repeat unanswered posts with their keys, oldest first.
Close codes 4400 to 4499: do not reconnect unchanged (4401 and 4408 excepted). 4500 to 4599 and
all others: reconnect.
`;

function errorsTable(): string {
  const lines = errorTable.map((row) => {
    const close = row.close === null ? "never" : String(row.close);
    return `| ${row.code} | ${row.name} | ${row.status} | ${close} | ${row.meaning} | ${
      row.action
    } |`;
  });
  return [
    "## Errors",
    "",
    "An err frame with an id concerns that frame only, and the connection stays, with these",
    "exceptions: after BAD_FRAME it is closed (4400), and 4401 or 4403 follow when 10 s after",
    "hello no room could be attached. The close code is used when a whole connection ends:",
    "4413 after a message over frame_bytes, 4400 after one that is not UTF-8.",
    "",
    "| Code | Name | HTTP | Close | What happened | What a client does |",
    "|---|---|---|---|---|---|",
    ...lines,
    "",
  ].join("\n");
}

/** Markdown that, with the schemas, suffices to write a client. */
export const protocolGuide: string =
  [sequence, positions, entries, posting, reconnecting].map((part) => part.trim()).join("\n\n") +
  `\n\n${errorsTable()}`;
