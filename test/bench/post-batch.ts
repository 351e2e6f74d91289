import { randomBytes, randomFillSync } from "node:crypto";
import { requestBodyBytesMax, requestOperationsMax } from "#replica/base/limits.ts";
import { utf8From } from "#replica/base/text.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  type PostFields,
  postBytes,
} from "#replica/wire/operation.ts";

/** Names and sizes of the load. */
export interface LoadShape {
  readonly rooms: number;
  readonly senders: number;
  /** Bytes of a message's body. */
  readonly bodyBytes: number;
}

function names(prefix: string, count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, index) => utf8From(`${prefix}${index}`));
}

/** Fills request bodies with posts of one shape, without an object a message. */
export class PostBatches {
  private readonly rooms: readonly Uint8Array[];
  private readonly senders: readonly Uint8Array[];
  private readonly fields: PostFields;
  private readonly keyView: DataView;
  private counter = 0;

  /** Keys are unique over processes: their random part is drawn here. */
  constructor(shape: LoadShape) {
    const empty = new Uint8Array(0);
    this.rooms = names("room-", shape.rooms);
    this.senders = names("user-", shape.senders);
    const key = new Uint8Array(randomBytes(16));
    this.keyView = new DataView(key.buffer);
    this.fields = {
      tenant: empty,
      room: empty,
      sender: empty,
      key,
      salt: new Uint8Array(16),
      type: "message",
      parent: 0,
      body: new Uint8Array(shape.bodyBytes).fill(0x61),
    };
  }

  /** Messages that fit one request at most. */
  get countMax(): number {
    const room = this.rooms.at(-1) ?? new Uint8Array(0);
    const sender = this.senders.at(-1) ?? new Uint8Array(0);
    const bytes = postBytes({ ...this.fields, room, sender });
    return Math.min(requestOperationsMax, Math.floor(requestBodyBytesMax / bytes));
  }

  /** Bodies with one creation a room, as many rooms as fit in each. */
  *createRooms(): Generator<{ readonly body: Uint8Array; readonly count: number }> {
    const creator = this.senders[0] ?? utf8From("user");
    const tenant = new Uint8Array(0);
    for (let next = 0; next < this.rooms.length; ) {
      const body = new Uint8Array(requestBodyBytesMax);
      const view = new DataView(body.buffer);
      let [end, count] = [0, 0];
      for (; next < this.rooms.length && count < requestOperationsMax; next += 1) {
        const fields = { tenant, room: this.rooms[next] ?? tenant, creator };
        if (end + createRoomBytes(fields) > body.length) break;
        end = appendCreateRoom(view, body, end, fields);
        count += 1;
      }
      yield { body: body.subarray(0, end), count };
    }
  }

  /** A fresh body with `count` posts of distinct keys. */
  posts(count: number): Uint8Array {
    const { fields, keyView } = this;
    const body = Buffer.allocUnsafeSlow(requestBodyBytesMax);
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const nowMs = Date.now();
    keyView.setUint16(0, Math.floor(nowMs / 2 ** 32));
    keyView.setUint32(2, nowMs % 2 ** 32);
    let end = 0;
    for (let i = 0; i < count; i += 1) {
      this.counter += 1;
      keyView.setUint16(6, 0x7000 + (this.counter & 0xfff));
      keyView.setUint32(8, (0x80000000 + (this.counter >>> 12)) >>> 0);
      fields.room = this.rooms[this.counter % this.rooms.length] ?? fields.room;
      fields.sender = this.senders[(this.counter * 7) % this.senders.length] ?? fields.sender;
      if (i % 64 === 0) randomFillSync(fields.salt);
      end = appendPost(view, body, end, fields);
    }
    return body.subarray(0, end);
  }
}
