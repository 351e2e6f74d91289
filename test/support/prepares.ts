import { checksumZero, incarnationFrom, opFrom, replicaFrom } from "#replica/base/brands.ts";
import { timestampFrom, viewFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import type { CreateRoomFields, PostFields } from "#replica/wire/operation.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  postBytes,
} from "#replica/wire/operation.ts";
import type {
  ConfigureFields,
  CreateDmFields,
  RetainFields,
  TrimFields,
} from "#replica/wire/room-operation.ts";
import {
  appendConfigure,
  appendCreateDm,
  appendRetain,
  appendTrim,
  configureBytes,
  createDmBytes,
} from "#replica/wire/room-operation.ts";
import type { Prepare, PrepareKind, Request } from "#replica/wire/prepare.ts";
import { encodeRequests } from "#replica/wire/request.ts";

/** An operation as tests write it. */
export type Operation =
  | ({ readonly kind: "post" } & PostFields)
  | ({ readonly kind: "create_room" } & CreateRoomFields)
  | ({ readonly kind: "create_dm" } & CreateDmFields)
  | ({ readonly kind: "configure" } & ConfigureFields)
  | ({ readonly kind: "retain" } & RetainFields)
  | ({ readonly kind: "trim" } & TrimFields);

/** Bytes of a UUIDv7 with this time; `tail` fills the rest. */
export function uuidv7(ms: number, tail: number): Uint8Array {
  const key = new Uint8Array(16);
  const view = new DataView(key.buffer);
  view.setUint16(0, Math.floor(ms / 2 ** 32));
  view.setUint32(2, ms % 2 ** 32);
  view.setUint16(6, 0x7000 | (tail & 0xfff));
  view.setUint8(8, 0x80);
  view.setUint32(10, tail);
  return key;
}

/** A post with sensible defaults. */
export function post(
  fields: { room: string; sender: string; key: Uint8Array; body: string } & Partial<
    Pick<PostFields, "type" | "parent" | "salt" | "authority">
  > & { tenant?: string },
): Operation {
  return {
    kind: "post",
    tenant: utf8From(fields.tenant ?? "t"),
    room: utf8From(fields.room),
    sender: utf8From(fields.sender),
    key: fields.key,
    salt: fields.salt ?? new Uint8Array(16).fill(7),
    type: fields.type ?? "message",
    parent: fields.parent ?? 0,
    body: utf8From(fields.body),
    ...(fields.authority === true ? { authority: true } : {}),
  };
}

/** A room's creation. */
export function createRoom(room: string, tenant = "t", creator = "creator"): Operation {
  return {
    kind: "create_room",
    tenant: utf8From(tenant),
    room: utf8From(room),
    creator: utf8From(creator),
  };
}

/** The creation of a room for two; `users` in ascending order. */
export function createDm(room: string, users: readonly [string, string], tenant = "t"): Operation {
  return {
    kind: "create_dm",
    tenant: utf8From(tenant),
    room: utf8From(room),
    low: utf8From(users[0]),
    high: utf8From(users[1]),
  };
}

/** Quotas of a tenant (`room` empty) or a room. */
export function configure(
  fields: { room: string; version: number; tenant?: string } & Partial<
    Pick<ConfigureFields, "rooms" | "members" | "entriesPerSecond">
  >,
): Operation {
  return {
    kind: "configure",
    tenant: utf8From(fields.tenant ?? "t"),
    room: utf8From(fields.room),
    by: utf8From("operator"),
    version: fields.version,
    rooms: fields.rooms ?? 0,
    members: fields.members ?? 0,
    entriesPerSecond: fields.entriesPerSecond ?? 0,
  };
}

/** How long the history of a tenant's rooms (`room` empty) or of one room is kept. */
export function retain(
  fields: { room: string; version: number; tenant?: string } & Partial<
    Pick<RetainFields, "ageSeconds" | "entries" | "bytes" | "hold">
  >,
): Operation {
  return {
    kind: "retain",
    tenant: utf8From(fields.tenant ?? "t"),
    room: utf8From(fields.room),
    by: utf8From("operator"),
    version: fields.version,
    ageSeconds: fields.ageSeconds ?? 0,
    entries: fields.entries ?? 0,
    bytes: fields.bytes ?? 0,
    hold: fields.hold ?? false,
  };
}

/** Lets go of a room's entries below a seq. */
export function trim(room: string, floor: number, tenant = "t"): Operation {
  const names = { tenant: utf8From(tenant), room: utf8From(room), by: utf8From("primary") };
  return { kind: "trim", ...names, floor };
}

function bytesOf(operation: Operation): number {
  if (operation.kind === "post") return postBytes(operation);
  if (operation.kind === "create_room") return createRoomBytes(operation);
  return operation.kind === "create_dm" ? createDmBytes(operation) : configureBytes(operation);
}

/** A request's body. */
export function encodeOperations(operations: readonly Operation[]): Uint8Array {
  let bytes = 0;
  for (const operation of operations) bytes += bytesOf(operation);
  const body = new Uint8Array(bytes);
  const view = new DataView(body.buffer);
  let offset = 0;
  for (const one of operations) {
    if (one.kind === "post") offset = appendPost(view, body, offset, one);
    else if (one.kind === "create_room") offset = appendCreateRoom(view, body, offset, one);
    else if (one.kind === "create_dm") offset = appendCreateDm(view, body, offset, one);
    else if (one.kind === "retain") offset = appendRetain(view, body, offset, one);
    else if (one.kind === "trim") offset = appendTrim(view, body, offset, one);
    else offset = appendConfigure(view, body, offset, one);
  }
  return body;
}

/** A request of these operations. */
export function requestOf(operations: readonly Operation[]): Request {
  return requestOfBody(encodeOperations(operations), operations.length);
}

/** A request with this body. */
export function requestOfBody(body: Uint8Array, operationsCount: number): Request {
  const header = {
    session: opFrom(1),
    requestNumber: 1,
    requestChecksum: checksumZero,
    clientId: "0".repeat(32),
    operationsCount,
  };
  return { header, body };
}

/** A committed prepare for the machine; signatures and checksums are not looked at there. */
export function prepareOf(
  op: number,
  timeUs: number,
  requests: readonly Request[],
  kind: PrepareKind = "requests",
): Prepare {
  const body = encodeRequests(requests);
  const header = {
    kind,
    op: opFrom(op),
    view: viewFrom(0),
    author: replicaFrom(0),
    incarnation: incarnationFrom("0".repeat(32)),
    parent: checksumZero,
    timestampUs: timestampFrom(timeUs),
    commitMax: opFrom(0),
    quorumCheckpointOp: opFrom(0),
    checkpointId: checksumZero,
    machineVersion: 1,
    requestsCount: requests.length,
    bodyBytes: body.length,
    bodyChecksum: checksumZero,
    checksum: checksumZero,
    signature: new Uint8Array(64),
  };
  return { header, body };
}
