import { bytesEqual, hexFrom } from "#replica/base/bytes.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import {
  type OperationResult,
  operationEntryType,
  operationKinds,
  OperationReader,
  readResult,
  resultBytes,
} from "#replica/wire/operation.ts";
import type { Prepare, RequestHeader } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";
import {
  Reference,
  type ReferenceEntry,
  type ReferenceOperation,
  type ReferenceResult,
} from "../reference.ts";
import { type ExactlyOnce, requestName } from "./03-exactly-once.ts";
import { Violation } from "./subject.ts";

/** Limits of the machine that the model must know. */
export interface ModelRules {
  readonly windowHours: number;
  readonly keysMax: number;
  readonly roomsMax: number;
}

/**
 * Checker 4: replies in the order of ops are those of the reference model; every replica makes the
 * same ones; what a client gets is what was stored.
 */
export class Replies {
  private readonly model: Reference;
  private readonly once: ExactlyOnce;
  private readonly byOp = new Map<number, readonly Uint8Array[]>();
  private readonly byRequest = new Map<string, Uint8Array>();

  constructor(rules: ModelRules, once: ExactlyOnce) {
    this.model = new Reference(rules);
    this.once = once;
  }

  /** Committed entries of a room, or undefined when there is no such room. */
  room(name: string): readonly ReferenceEntry[] | undefined {
    return this.model.rooms.get(name);
  }

  /** Rooms that exist. */
  get rooms(): readonly string[] {
    return [...this.model.rooms.keys()];
  }

  /** A replica executed an op and made these replies; `first`: it is new to the history. */
  executed(prepare: Prepare, replies: readonly Uint8Array[], first: boolean): void {
    const { op } = prepare.header;
    if (!first) {
      const known = this.byOp.get(op);
      const same = known?.every((reply, i) => bytesEqual(reply, replies[i] ?? reply.subarray(1)));
      if (same === true && known?.length === replies.length) return;
      throw new Violation(`4 replies: op ${op} was answered differently before`);
    }
    this.byOp.set(op, replies);
    this.model.advance(prepare.header.timestampUs);
    const reader = new RequestReader(prepare.body);
    for (let index = 0; reader.next(); index += 1) {
      const reply = replies[index];
      if (reply === undefined) throw new Violation(`4 replies: op ${op} lacks reply ${index}`);
      if (reader.session !== 0) this.compare(op, reader.body, reply);
      const name = requestName(reader.header);
      if (!this.byRequest.has(name)) this.byRequest.set(name, reply);
    }
  }

  /** A client got a reply. */
  answered(header: RequestHeader, body: Uint8Array): void {
    const name = requestName(header);
    const stored = this.byRequest.get(name);
    if (stored === undefined || bytesEqual(stored, body)) return;
    throw new Violation(`4 replies: the answer to ${name} is not the stored one`);
  }

  private compare(op: number, body: Uint8Array, reply: Uint8Array): void {
    const operations = new OperationReader();
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    operations.open(body, view, 0, body.length);
    let index = 0;
    while (operations.next()) {
      const wanted = operationOf(operations, body, view);
      const entries = this.model.rooms.get(wanted.room)?.length ?? 0;
      const expected = this.model.apply(wanted);
      if ((this.model.rooms.get(wanted.room)?.length ?? 0) > entries && wanted.kind === "post") {
        this.once.entered(wanted.room, wanted.sender, `${wanted.keyMs} ${wanted.keyTail}`);
      }
      const result = readResult(reply, index);
      if (!same(result, expected)) {
        const told = JSON.stringify(result);
        throw new Violation(`4 replies: op ${op}: ${told}, not ${JSON.stringify(expected)}`);
      }
      index += 1;
    }
    if (reply.length !== index * resultBytes) throw new Violation(`4 replies: length at op ${op}`);
  }
}

function same(result: OperationResult | null, expected: ReferenceResult): boolean {
  if (result === null) return false;
  const { code, dup, seq, timeUs } = expected;
  const head = result.code === code && result.dup === dup && result.timeUs === timeUs;
  return head && result.seq === seq;
}

function text(bytes: Uint8Array): string {
  return textFromUtf8(bytes) ?? "";
}

function operationOf(
  reader: OperationReader,
  body: Uint8Array,
  view: DataView,
): ReferenceOperation {
  const room = text(body.subarray(reader.roomAt, reader.roomAt + reader.roomBytes));
  if (reader.kind === operationKinds.create_room) return { kind: "create_room", room };
  const { senderAt, senderBytes, keyAt, bodyAt, bodyBytes, parent } = reader;
  return {
    kind: "post",
    room,
    sender: text(body.subarray(senderAt, senderAt + senderBytes)),
    keyMs: view.getUint16(keyAt) * 2 ** 32 + view.getUint32(keyAt + 2),
    keyTail: view.getUint32(keyAt + 10),
    type: operationEntryType(reader),
    parent,
    body: hexFrom(body.subarray(bodyAt, bodyAt + bodyBytes)),
  };
}
