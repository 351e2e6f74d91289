import { positionField, roomField, seqField } from "./fields.ts";
import type { HttpCall, HttpParameter } from "./http-call.ts";

const inRoom: HttpParameter = { name: "room", in: "path", required: true, schema: roomField };
const errors = [
  "BAD_FRAME",
  "TOKEN_EXPIRED",
  "TOKEN_INVALID",
  "DENIED",
  "NO_ROOM",
  "RATE_LIMITED",
  "NO_LEADER",
] as const;

function call(
  id: string,
  path: string,
  more: readonly HttpParameter[],
  words: { readonly summary: string; readonly description: string; readonly answer: string },
  mediaType = "text/plain",
): HttpCall {
  return {
    id,
    method: "get",
    path: `/v1/rooms/{room}/${path}`,
    auth: path === "export" ? ["apiKey"] : ["session", "apiKey"],
    parameters: [inRoom, ...more],
    summary: words.summary,
    description: words.description,
    body: null,
    answers: { 200: { description: words.answer, schema: null, mediaType } },
    errors,
  };
}

/** Calls for proofs: everything in them can be checked without this server. */
export const proofCalls: readonly HttpCall[] = [
  call("proof", "proof", [{ name: "seq", in: "query", required: true, schema: seqField }], {
    summary: "Receipt of an entry",
    description:
      "A c2sp.org/tlog-proof: from the entry to the room's Merkle root, from there to the log of " +
      "the shard, under a checkpoint that two of three replicas have cosigned. A fresh entry has " +
      "its receipt within about two seconds; the call waits for it. Keep it: it proves for ever " +
      "that this entry stands there. The extra data is JSON: tenant, room, blind, size, entry " +
      "(encoded, base64), proof (hashes from the entry's leaf to the room's root).",
    answer: "The receipt.",
  }),
  call("checkpoint", "checkpoint", [], {
    summary: "Newest signed checkpoint of the room's shard",
    description:
      "A c2sp.org/tlog-checkpoint with cosignatures (c2sp.org/tlog-cosignature, type 4). Keep it " +
      "and ask for /consistency later: a history that was rewritten cannot extend it.",
    answer: "The signed note.",
  }),
  call(
    "consistency",
    "consistency",
    [{ name: "from", in: "query", required: true, schema: positionField }],
    {
      summary: "That the log still extends a checkpoint",
      description:
        "`from`: leaves of the checkpoint that you kept. The answer is the body of " +
        "add-checkpoint of c2sp.org/tlog-witness: `old <size>`, hashes, an empty line, the " +
        "newest checkpoint.",
      answer: "The proof.",
    },
  ),
  call("keys", "keys", [], {
    summary: "Verifier keys of the room's shard",
    description:
      "One key a line, name+id+base64 (c2sp.org/signed-note). Type 1: a replica as the log; type " +
      "4: as cosigner. After a replica was replaced the former keys are there too, and a line " +
      "`# ops FROM-TO` before keys says during which ops of the shard's log they were members': " +
      "signatures count together where these times meet. Get them once over a way that you " +
      "trust, and keep them.",
    answer: "The keys.",
  }),
  call(
    "export",
    "export",
    [],
    {
      summary: "A whole room with its proof",
      description:
        "JSON Lines: a header with the proof of the room's root, then every entry with the hash " +
        "of its leaf. `npm run verify -- export FILE --key KEYS` checks it without a server.",
      answer: "The export.",
    },
    "application/x-ndjson",
  ),
];

const shard: HttpParameter = {
  name: "shard",
  in: "path",
  required: true,
  schema: { type: "string", minLength: 1, maxLength: 40, description: "Name of the shard." },
};

function auditCall(
  id: string,
  path: string,
  words: readonly [summary: string, description: string, answer: string],
  mediaType = "text/plain",
): HttpCall {
  const [summary, description, answer] = words;
  return {
    id,
    method: "get",
    path: `/v1/audit/{shard}/${path}`,
    auth: ["apiKey"],
    parameters: [shard],
    summary,
    description,
    body: null,
    answers: { 200: { description: answer, schema: null, mediaType } },
    errors: ["TOKEN_INVALID", "DENIED", "NO_ROOM", "RATE_LIMITED", "NO_LEADER"],
  };
}

/** Calls for the audit log of a shard; an API key with scope audit. */
export const auditCalls: readonly HttpCall[] = [
  auditCall(
    "auditExport",
    "export",
    [
      "Audit log of a shard with its proof",
      "JSON Lines as of a room's export; each entry's body is one line of the log: view changes, " +
        "transfers, replacements, certificates, what the operator did. `npm run verify -- export " +
        "FILE --key KEYS` checks it without a server.",
      "The export.",
    ],
    "application/x-ndjson",
  ),
  auditCall("auditKeys", "keys", ["Verifier keys of the shard", "As of a room.", "The keys."]),
  auditCall("auditCheckpoint", "checkpoint", [
    "Newest signed checkpoint of the shard",
    "As of a room.",
    "The signed note.",
  ]),
];
