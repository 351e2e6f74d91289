import {
  type Checksum,
  checksumFrom,
  clientIdFrom,
  incarnationFrom,
  opFrom,
  replicaFrom,
  seqFrom,
  timestampFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import { type FrameScope, frameScopeFrom } from "#replica/wire/frame.ts";
import type { CheckpointDescriptor, PeerMessage } from "#replica/wire/peer-message.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { Prepare, PrepareHeader, Request } from "#replica/wire/prepare.ts";
import { encodeRequests } from "#replica/wire/request.ts";

/** The shard of all samples. */
export const sampleScope: FrameScope = frameScopeFrom({
  cluster: "00112233445566778899aabbccddeeff",
  shard: "lobby",
  hash: sha256,
});

const author = "c0ffee00c0ffee00c0ffee00c0ffee00";
const digest = (text: string): Checksum => sha256(utf8From(text));

/** A checkpoint with distinct fields. */
export const sampleCheckpoint: CheckpointDescriptor = {
  id: digest("id"),
  parentId: digest("parent"),
  op: opFrom(960),
  opChecksum: digest("op"),
  root: digest("root"),
  manifestBytes: 4711,
};

/** Two requests of two clients. */
export const sampleRequests: readonly [Request, Request] = [
  {
    header: {
      session: opFrom(0),
      requestNumber: 0,
      requestChecksum: sha256(new Uint8Array(0)),
      clientId: clientIdFrom("a".repeat(32)),
      operationsCount: 0,
    },
    body: new Uint8Array(0),
  },
  {
    header: {
      session: opFrom(77),
      requestNumber: 2 ** 40,
      requestChecksum: digest("two operations"),
      clientId: clientIdFrom("b".repeat(32)),
      operationsCount: 2,
    },
    body: utf8From("two operations"),
  },
];

/** A sealed prepare; the signature is a pattern, not one that verifies. */
export function samplePrepare(op: number, body = encodeRequests(sampleRequests)): Prepare {
  const unsealed: PrepareHeader = {
    kind: "requests",
    op: opFrom(op),
    view: viewFrom(4),
    author: replicaFrom(1),
    incarnation: incarnationFrom(author),
    parent: digest("parent prepare"),
    timestampUs: timestampFrom(1_763_000_000_123_456),
    commitMax: opFrom(op - 1),
    quorumCheckpointOp: opFrom(960),
    checkpointId: digest("checkpoint"),
    machineVersion: 1,
    requestsCount: 2,
    bodyBytes: body.length,
    bodyChecksum: sha256(body),
    checksum: digest(""),
    signature: new Uint8Array(64).map((_, i) => 3 * i),
  };
  const checksum = checksumFrom(sha256(prepareChecksummedBytes(sampleScope, unsealed)));
  return { header: { ...unsealed, checksum }, body };
}

const envelope = {
  from: replicaFrom(2),
  incarnation: incarnationFrom("0123456789abcdef0123456789abcdef"),
  view: viewFrom(5),
};
const first = samplePrepare(1000);
const second = samplePrepare(999, new Uint8Array(0));
const clock = {
  monotonicMs: 12.25,
  wallClockUs: 1_763_000_000_000_000,
  formationId: digest("formation"),
  versions: { min: 1, max: 2 },
  commitMin: opFrom(998),
  lives: [
    { sequence: 2, nonce: 2 ** 32 - 1, logView: viewFrom(0), op: opFrom(0) },
    { sequence: 77, nonce: 0, logView: viewFrom(5), op: null },
  ],
  mark: { sequence: 79, logView: viewFrom(5), op: opFrom(999) },
  replaced: [
    {
      replica: replicaFrom(2),
      incarnation: incarnationFrom("5e".repeat(16)),
      publicKey: "6f".repeat(32),
      replaceOp: opFrom(77),
    },
  ],
  yours: { life: 12, nonce: 34, verdict: "rolled_back" },
  status: "learner",
  learner: true,
  voteFloor: viewFrom(9),
  checkpointOp: opFrom(960),
  checkpointId: digest("checkpoint"),
} as const;
const place = { checkpointId: digest("checkpoint"), segment: "seg-0a1", block: 3 };

/** One of every kind of message between replicas, and lists with every flag. */
export const samplePeerMessages: readonly PeerMessage[] = [
  { ...envelope, kind: "prepare", prepare: first },
  {
    ...envelope,
    kind: "prepare_ok",
    op: opFrom(1000),
    checksum: first.header.checksum,
    commitMin: opFrom(998),
    checkpointOp: opFrom(960),
  },
  {
    ...envelope,
    kind: "commit",
    commitMax: opFrom(999),
    commitChecksum: second.header.checksum,
    checkpoint: sampleCheckpoint,
    quorumCheckpointOp: opFrom(960),
    monotonicMs: 0.5,
  },
  { ...envelope, kind: "start_view_change" },
  {
    ...envelope,
    kind: "do_view_change",
    logView: viewFrom(4),
    op: opFrom(1000),
    commitMin: opFrom(998),
    commitMax: opFrom(998),
    checkpoint: sampleCheckpoint,
    quorumCheckpointOp: opFrom(960),
    headers: [first.header, null, second.header],
    present: [true, false, false],
    nack: [false, true, false],
  },
  {
    ...envelope,
    kind: "start_view",
    op: opFrom(1000),
    commitMax: opFrom(999),
    checkpoint: sampleCheckpoint,
    quorumCheckpointOp: opFrom(960),
    headers: [first.header, second.header],
    nonce: 99,
  },
  { ...envelope, kind: "get_view", nonce: Number.MAX_SAFE_INTEGER },
  { ...envelope, kind: "get_headers", opFirst: opFrom(1), opLast: opFrom(2 ** 33) },
  { ...envelope, kind: "headers", headers: [first.header] },
  { ...envelope, kind: "get_prepare", op: opFrom(7), checksum: first.header.checksum },
  { ...envelope, kind: "get_chunk", ...place, segment: "" },
  { ...envelope, kind: "chunk", ...place, bytes: utf8From("block") },
  { ...envelope, kind: "ping", ...clock },
  { ...envelope, kind: "pong", ...clock },
  {
    ...envelope,
    kind: "cosign",
    size: 1234,
    root: digest("root of the log"),
    timeS: 1_763_000_000,
    signature: new Uint8Array(64).map((_, i) => 5 * i),
  },
];

const name = { tenant: "acme", room: "général" };
const [, request] = sampleRequests;

/** One of every kind of message to a replica. */
export const sampleClientMessages: readonly ClientMessage[] = [
  { kind: "hello", clientId: clientIdFrom("d".repeat(32)), protocol: 1 },
  { kind: "register", clientId: clientIdFrom("d".repeat(32)) },
  { kind: "request", ...request, viewKnown: viewFrom(4) },
  { kind: "read", id: 1, name, range: { kind: "after", seq: seqFrom(0), limit: 200 } },
  { kind: "read", id: 2 ** 32 - 1, name, range: { kind: "before", seq: seqFrom(9), limit: 1 } },
  { kind: "watch", id: 3, name: { tenant: "", room: "r" } },
  { kind: "unwatch", name },
  { kind: "read", id: 4, name, range: { kind: "receipt", seq: seqFrom(12), limit: 1 } },
  { kind: "read", id: 5, name, range: { kind: "keys", seq: seqFrom(0), limit: 1 } },
  { kind: "read", id: 6, name, range: { kind: "standing", user: "ann" } },
];

const entries = utf8From("entries, opaque here");
const answer = { code: "ok", epoch: 7, head: seqFrom(12), floor: seqFrom(3) } as const;
const numbers = { session: opFrom(77), requestNumber: 12, view: viewFrom(4) };

/** One of every kind of message to a client, and every kind of answer about a room. */
export const sampleServerMessages: readonly ServerMessage[] = [
  { kind: "view", view: viewFrom(4), primary: replicaFrom(1), normal: true },
  { kind: "registered", clientId: clientIdFrom("d".repeat(32)), session: opFrom(77) },
  { kind: "reply", ...numbers, requestChecksum: digest("r"), op: opFrom(99), body: entries },
  { kind: "reject", ...numbers, reason: "not_primary", retryMs: 0 },
  { kind: "reject", ...numbers, reason: "out_of_order", retryMs: 50 },
  { kind: "read_reply", id: 1, answer, entries },
  { kind: "read_reply", id: 1, answer: { code: "no_room" }, entries: new Uint8Array(0) },
  { kind: "watched", id: 2, answer: { code: "moved", slot: 4095, shard: "attic", epoch: 2 } },
  { kind: "watched", id: 2, answer: { code: "not_ready" } },
  { kind: "entries", name, entries },
];
