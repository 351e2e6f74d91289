import { assert } from "#replica/base/assert.ts";
import { clientIdFrom, replicaFrom, seqFrom, viewFrom } from "#replica/base/brands.ts";
import {
  nameBytesMax,
  readEntriesMax,
  replyBytesMax,
  requestBodyBytesMax,
} from "#replica/base/limits.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import { utf8From } from "#replica/base/text.ts";
import { proofKinds } from "./client-message.ts";
import type {
  ClientMessage,
  ReadQuestion,
  RoomAnswer,
  RoomName,
  ServerMessage,
} from "./client-message.ts";
import { Reader, Writer } from "./cursor.ts";
import { dataViewOf } from "./frame.ts";
import { RequestReader, requestPrefixBytes, writeRequestHeader } from "./request.ts";

// Client port: [magic u32 "TGCC"][kind u8][zeros 3][bytes u32 of what follows]; then the fields of
// the kind in the order in which they are written below; opaque bytes come last.

/** Bytes before a client frame's fields. */
export const clientHeadBytes = 12;
/** Bytes of a frame on the client port at most. */
export const clientFrameBytesMax = 256 * 1024;
/** Bytes of entries in one read_reply or entries frame at most; the replica cuts there. */
export const clientEntriesBytesMax = clientFrameBytesMax - 1024;

const magic = 0x43434754;
const none = new Uint8Array(0);

const clientKinds = {
  hello: 1,
  register: 2,
  request: 3,
  read: 4,
  watch: 5,
  unwatch: 6,
} as const satisfies Record<ClientMessage["kind"], number>;

const serverKinds = {
  view: 64,
  registered: 65,
  reply: 66,
  reject: 67,
  read_reply: 68,
  watched: 69,
  entries: 70,
} as const satisfies Record<ServerMessage["kind"], number>;

const rejectReasons = [
  "not_primary",
  "busy",
  "no_session",
  "request_mismatch",
  "out_of_order",
] as const;
/** Numbers of the kinds of a read. */
const rangeKinds = ["after", "before", ...proofKinds, "standing"] as const;
const answerCodes = ["ok", "no_room", "busy", "not_ready", "moved"] as const;

/** A frame in two parts, so that a batch is never copied to be sent. */
export interface ClientFrame {
  readonly head: Uint8Array;
  /** Opaque bytes; may be empty. */
  readonly tail: Uint8Array;
}

/** Why bytes are not a frame of the client port. */
export type ClientRefusal = "short" | "magic" | "reserved" | "size" | "kind" | "fields" | "request";

/** For a FrameSplitter: the whole frame's bytes, or why it is none. */
export function clientFrameSize(bytes: Uint8Array, offset: number): number | ClientRefusal {
  const view = dataViewOf(bytes);
  if (view.getUint32(offset, true) !== magic) return "magic";
  if ((view.getUint32(offset + 4, true) & 0xffffff00) !== 0) return "reserved";
  const size = clientHeadBytes + view.getUint32(offset + 8, true);
  return size > clientFrameBytesMax ? "size" : size;
}

/** Room for the fields of any kind: three texts of 255 bytes at most, numbers and digests. */
const fieldsBytesMax = 1024;
const scratch = new Uint8Array(clientHeadBytes + fieldsBytesMax);

function finish(kind: number, w: Writer, tail: Uint8Array): ClientFrame {
  const head = scratch.slice(0, w.at);
  const bytes = w.at - clientHeadBytes + tail.length;
  assert(bytes + clientHeadBytes <= clientFrameBytesMax, "WIR-04: a client frame is bounded");
  const start = new Writer(head, 0);
  start.u32(magic);
  start.u32(kind);
  start.u32(bytes);
  return { head, tail };
}

function writeName(w: Writer, name: RoomName): void {
  assert(utf8From(name.tenant).length <= nameBytesMax, "WIR-04: a tenant's id");
  assert(utf8From(name.room).length <= nameBytesMax, "WIR-04: a room's id");
  w.text(name.tenant);
  w.text(name.room);
}

function readName(r: Reader): RoomName {
  const name = { tenant: r.text(nameBytesMax), room: r.text(nameBytesMax) };
  if (name.room.length === 0) r.bad = true;
  return name;
}

function writeQuestion(w: Writer, question: ReadQuestion): void {
  w.u8(rangeKinds.indexOf(question.kind));
  if (question.kind === "standing") {
    assert(utf8From(question.user).length <= nameBytesMax, "WIR-04: a user's id");
    w.text(question.user);
    return;
  }
  w.u64(question.seq);
  w.u32(question.limit);
}

/** A message to a replica. */
export function encodeClientMessage(message: ClientMessage): ClientFrame {
  const w = new Writer(scratch, clientHeadBytes);
  const kind = clientKinds[message.kind];
  switch (message.kind) {
    case "hello":
      w.hex(message.clientId, 16);
      w.u16(message.protocol);
      return finish(kind, w, none);
    case "register":
      w.hex(message.clientId, 16);
      return finish(kind, w, none);
    case "request":
      assert(message.body.length <= requestBodyBytesMax, "WIR-04: a request is bounded");
      w.u64(message.viewKnown);
      writeRequestHeader(w.bytes, w.at, message.header, message.body.length);
      w.at += requestPrefixBytes;
      return finish(kind, w, message.body);
    case "read":
      w.u32(message.id);
      writeName(w, message.name);
      writeQuestion(w, message.range);
      return finish(kind, w, none);
    case "watch":
      w.u32(message.id);
      writeName(w, message.name);
      return finish(kind, w, none);
    case "unwatch":
      writeName(w, message.name);
      return finish(kind, w, none);
    default:
      return message satisfies never;
  }
}

function readRequest(frame: Uint8Array, r: Reader): Result<ClientMessage, ClientRefusal> {
  const viewKnown = viewFrom(r.u64());
  if (r.bad) return fail("fields");
  const requests = new RequestReader(frame.subarray(r.at));
  if (!requests.next() || r.at + requests.bodyEnd !== frame.length) return fail("request");
  return ok({ kind: "request", viewKnown, header: requests.header, body: requests.body });
}

function readQuestion(r: Reader): ReadQuestion {
  const kind = rangeKinds[r.u8()];
  if (kind === "standing") {
    const user = r.text(nameBytesMax);
    if (user.length === 0) r.bad = true;
    return { kind, user };
  }
  const seq = seqFrom(r.u64());
  const limit = r.u32();
  if (kind === undefined || limit < 1 || limit > readEntriesMax) r.bad = true;
  return { kind: kind ?? "after", seq, limit };
}

/** A frame of a {@link FrameSplitter} as a message to a replica; bodies are views into it. */
export function decodeClientMessage(frame: Uint8Array): Result<ClientMessage, ClientRefusal> {
  const refusal = refuseFrame(frame);
  if (refusal !== null) return fail(refusal);
  const r = new Reader(frame, clientHeadBytes, frame.length);
  const message = readClientMessage(frame, r);
  if (message === null) return fail("kind");
  if (message.ok && message.value.kind !== "request" && (r.bad || r.left > 0)) {
    return fail("fields");
  }
  return message;
}

function readClientMessage(
  frame: Uint8Array,
  r: Reader,
): Result<ClientMessage, ClientRefusal> | null {
  switch (frame[4]) {
    case clientKinds.hello: {
      const clientId = clientIdFrom(r.hex(16));
      if (r.u16() !== 1) r.bad = true;
      return ok({ kind: "hello", clientId, protocol: 1 });
    }
    case clientKinds.register:
      return ok({ kind: "register", clientId: clientIdFrom(r.hex(16)) });
    case clientKinds.request:
      return readRequest(frame, r);
    case clientKinds.read:
      return ok({ kind: "read", id: r.u32(), name: readName(r), range: readQuestion(r) });
    case clientKinds.watch:
      return ok({ kind: "watch", id: r.u32(), name: readName(r) });
    case clientKinds.unwatch:
      return ok({ kind: "unwatch", name: readName(r) });
    default:
      return null;
  }
}

function refuseFrame(frame: Uint8Array): ClientRefusal | null {
  if (frame.length < clientHeadBytes) return "short";
  const size = clientFrameSize(frame, 0);
  if (typeof size === "string") return size;
  return size === frame.length ? null : "size";
}

function writeAnswer(w: Writer, answer: RoomAnswer): void {
  w.u8(answerCodes.indexOf(answer.code));
  if (answer.code === "ok") {
    w.u64(answer.epoch);
    w.u64(answer.head);
    w.u64(answer.floor);
  } else if (answer.code === "moved") {
    w.u16(answer.slot);
    w.text(answer.shard);
    w.u64(answer.epoch);
  }
}

function readAnswer(r: Reader): RoomAnswer {
  const code = answerCodes[r.u8()];
  if (code === "ok") {
    return { code, epoch: r.u64(), head: seqFrom(r.u64()), floor: seqFrom(r.u64()) };
  }
  if (code === "moved") return { code, slot: r.u16(), shard: r.text(255), epoch: r.u64() };
  if (code !== undefined) return { code };
  r.bad = true;
  return { code: "not_ready" };
}

/** A message to a client. */
export function encodeServerMessage(message: ServerMessage): ClientFrame {
  const w = new Writer(scratch, clientHeadBytes);
  const kind = serverKinds[message.kind];
  switch (message.kind) {
    case "view":
      w.u64(message.view);
      w.u8(message.primary);
      w.u8(message.normal ? 1 : 0);
      return finish(kind, w, none);
    case "registered":
      w.hex(message.clientId, 16);
      w.u64(message.session);
      return finish(kind, w, none);
    case "reply":
      assert(message.body.length <= replyBytesMax, "WIR-04: a reply is bounded");
      w.u64(message.session);
      w.u64(message.requestNumber);
      w.hex(message.requestChecksum, 32);
      w.u64(message.op);
      w.u64(message.view);
      return finish(kind, w, message.body);
    case "reject":
      w.u64(message.session);
      w.u64(message.requestNumber);
      w.u8(rejectReasons.indexOf(message.reason));
      w.u64(message.view);
      w.u32(Math.ceil(message.retryMs));
      return finish(kind, w, none);
    case "read_reply":
      w.u32(message.id);
      writeAnswer(w, message.answer);
      return finish(kind, w, message.entries);
    case "watched":
      w.u32(message.id);
      writeAnswer(w, message.answer);
      return finish(kind, w, none);
    case "entries":
      writeName(w, message.name);
      return finish(kind, w, message.entries);
    default:
      return message satisfies never;
  }
}

/** A frame of a {@link FrameSplitter} as a message to a client; bodies are views into it. */
export function decodeServerMessage(frame: Uint8Array): Result<ServerMessage, ClientRefusal> {
  const refusal = refuseFrame(frame);
  if (refusal !== null) return fail(refusal);
  const r = new Reader(frame, clientHeadBytes, frame.length);
  const message = readServerMessage(frame[4] ?? 0, r);
  if (message === null) return fail("kind");
  return r.bad || r.left > 0 ? fail("fields") : ok(message);
}

function readServerMessage(kind: number, r: Reader): ServerMessage | null {
  switch (kind) {
    case serverKinds.view: {
      const view = viewFrom(r.u64());
      const [primary, normal] = [r.u8(), r.u8()];
      if (primary > 2 || primary !== view % 3 || normal > 1) r.bad = true;
      return { kind: "view", view, primary: replicaFrom(view % 3), normal: normal === 1 };
    }
    case serverKinds.registered:
      return { kind: "registered", clientId: clientIdFrom(r.hex(16)), session: r.op() };
    case serverKinds.reply:
      return {
        kind: "reply",
        session: r.op(),
        requestNumber: r.u64(),
        requestChecksum: r.checksum(),
        op: r.op(),
        view: viewFrom(r.u64()),
        body: r.raw(r.left),
      };
    case serverKinds.reject:
      return readReject(r);
    case serverKinds.read_reply:
      return { kind: "read_reply", id: r.u32(), answer: readAnswer(r), entries: r.raw(r.left) };
    case serverKinds.watched:
      return { kind: "watched", id: r.u32(), answer: readAnswer(r) };
    case serverKinds.entries:
      return { kind: "entries", name: readName(r), entries: r.raw(r.left) };
    default:
      return null;
  }
}

function readReject(r: Reader): ServerMessage {
  const session = r.op();
  const requestNumber = r.u64();
  const reason = rejectReasons[r.u8()];
  const view = viewFrom(r.u64());
  const retryMs = r.u32();
  if (reason === undefined) r.bad = true;
  return {
    kind: "reject",
    session,
    requestNumber,
    reason: reason ?? "busy",
    view,
    retryMs,
  };
}
