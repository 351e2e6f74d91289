// Operations as they stand in a request's body, in the model's words.
import { textFromUtf8 } from "#replica/base/text.ts";
import { operationEntryType, operationKinds, OperationReader } from "#replica/wire/operation.ts";
import type { ModelOperation } from "./machine-model.ts";

function operationOf(reader: OperationReader, body: Uint8Array, view: DataView): ModelOperation {
  const text = (at: number, bytes: number): string => {
    const found = textFromUtf8(body.subarray(at, at + bytes));
    if (found === null) throw new Error("model: bodies of histories are text");
    return found;
  };
  const tenant = text(reader.tenantAt, reader.tenantBytes);
  const room = text(reader.roomAt, reader.roomBytes);
  const sender = text(reader.senderAt, reader.senderBytes);
  switch (reader.kind) {
    case operationKinds.create_room:
      return { kind: "create_room", tenant, room, creator: sender };
    case operationKinds.create_dm: {
      const other = text(reader.otherAt, reader.otherBytes);
      return { kind: "create_dm", tenant, room, users: [sender, other] };
    }
    case operationKinds.configure:
      return { kind: "configure", tenant, room, version: reader.version, ...reader.readQuotas() };
    case operationKinds.retain:
      return { kind: "retain", tenant, room, version: reader.version, ...reader.readRetention() };
    case operationKinds.trim:
      return { kind: "trim", tenant, room, floor: reader.version };
    case operationKinds.post: {
      const { keyAt, parent } = reader;
      const keyMs = view.getUint16(keyAt) * 2 ** 32 + view.getUint32(keyAt + 2);
      const keyTail = view.getUint32(keyAt + 10);
      const type = operationEntryType(reader);
      const authority = reader.authority === 1;
      const said = text(reader.bodyAt, reader.bodyBytes);
      const key = { authority, keyMs, keyTail };
      return { kind: "post", tenant, room, sender, ...key, type, parent, body: said };
    }
    default:
      throw new Error(`model: operation ${reader.kind}`);
  }
}

/** An operation, and of a post what the model does not look at. */
export interface WireOperation {
  readonly operation: ModelOperation;
  /** 16 bytes each; empty when it is no post. */
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
}

/** The operations of a request that a server let in. Throws when the model has no word for it. */
export function operationsFromWire(body: Uint8Array): readonly WireOperation[] {
  const reader = new OperationReader();
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  reader.open(body, view, 0, body.length);
  const operations: WireOperation[] = [];
  while (reader.next()) {
    const operation = operationOf(reader, body, view);
    const bytes = operation.kind === "post" ? 16 : 0;
    const key = body.slice(reader.keyAt, reader.keyAt + bytes);
    const salt = body.slice(reader.saltAt, reader.saltAt + bytes);
    operations.push({ operation, key, salt });
  }
  return operations;
}
