// Goal: bytes on the wire never change by accident, and every message survives them unchanged.
// Method: golden vectors in testdata for one message of each kind; decode, compare, encode again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { headerBytes } from "#replica/base/limits.ts";
import {
  sampleClientMessages,
  samplePeerMessages,
  samplePrepare,
  sampleRequests,
  sampleScope,
  sampleServerMessages,
} from "#test/support/wire-samples.ts";
import {
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
} from "./client-codec.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import { frameScopeFrom, frameSize } from "./frame.ts";
import { decodePeerMessage, encodePeerMessage } from "./peer-codec.ts";
import { decodePrepare, decodePrepareHeader, encodePrepare } from "./prepare-codec.ts";
import { decodeRequests, encodeRequests, RequestReader } from "./request.ts";

interface Golden {
  readonly peer: readonly string[];
  readonly client: readonly string[];
  readonly server: readonly string[];
}

const golden = JSON.parse(
  readFileSync(new URL("testdata/golden.json", import.meta.url), "utf8"),
) as Golden;

function whole(parts: { readonly [part: string]: Uint8Array }): Uint8Array {
  return new Uint8Array(Buffer.concat(Object.values(parts)));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const relay = samplePeerMessages[0];
assert(relay);
const sender = { from: relay.from, incarnation: relay.incarnation, view: relay.view };

test("wire: messages between replicas have the golden bytes and come back equal", () => {
  assert.equal(golden.peer.length, samplePeerMessages.length);
  for (const [i, message] of samplePeerMessages.entries()) {
    const frame = whole({ ...encodePeerMessage(sampleScope, message) });
    assert.equal(hex(frame), golden.peer[i], message.kind);
    assert.deepEqual(decodePeerMessage(sampleScope, frame, sender), { ok: true, value: message });
  }
});

test("wire: client port frames have the golden bytes and come back equal", () => {
  assert.equal(golden.client.length, sampleClientMessages.length);
  for (const [i, message] of sampleClientMessages.entries()) {
    const frame = whole({ ...encodeClientMessage(message) });
    assert.equal(hex(frame), golden.client[i], message.kind);
    assert.deepEqual(decodeClientMessage(frame), { ok: true, value: message });
  }
  assert.equal(golden.server.length, sampleServerMessages.length);
  for (const [i, message] of sampleServerMessages.entries()) {
    const frame = whole({ ...encodeServerMessage(message) });
    assert.equal(hex(frame), golden.server[i], message.kind);
    assert.deepEqual(decodeServerMessage(frame), { ok: true, value: message });
  }
});

test("wire: a prepare is one run of bytes for the wire and the log", () => {
  const prepare = samplePrepare(1000);
  const bytes = encodePrepare(sampleScope, prepare);
  assert.equal(hex(bytes), golden.peer[0]);
  assert.deepEqual(decodePrepare(sampleScope, bytes), { ok: true, value: prepare });
  const header = decodePrepareHeader(sampleScope, bytes.subarray(0, headerBytes));
  assert.deepEqual(header, { ok: true, value: prepare.header });
});

test("wire: another shard, flipped bits and wrong lengths have reasons", () => {
  const bytes = encodePrepare(sampleScope, samplePrepare(1000));
  const other = frameScopeFrom({
    cluster: "00112233445566778899aabbccddeeff",
    shard: "attic",
    hash: sampleScope.hash,
  });
  assert.deepEqual(decodePrepare(other, bytes), { ok: false, reason: "scope" });
  const flip = (at: number) => bytes.map((byte, i) => (i === at ? byte ^ 64 : byte));
  const reasons: readonly (readonly [number, string])[] = [
    [0, "checksum"],
    [96, "magic"],
    [100, "protocol"],
    [102, "command"],
    [107, "size"],
    [108, "reserved"],
    [128, "scope"],
    [200, "checksum"],
    [240, "checksum"],
    [350, "checksum"],
    [headerBytes, "body_checksum"],
  ];
  for (const [at, reason] of reasons) {
    assert.deepEqual(decodePrepare(sampleScope, flip(at)), { ok: false, reason }, `byte ${at}`);
  }
  assert.equal(decodePrepare(sampleScope, bytes.subarray(0, -1)).ok, false);
  assert.equal(decodePrepare(sampleScope, Buffer.concat([bytes, bytes])).ok, false);
  assert.deepEqual(decodePrepare(sampleScope, bytes.subarray(0, 9)), {
    ok: false,
    reason: "short",
  });
});

test("wire: requests of a prepare are walked where they lie", () => {
  const body = encodeRequests(sampleRequests);
  const reader = new RequestReader(body);
  for (const request of sampleRequests) {
    assert(reader.next());
    assert.deepEqual(reader.header, request.header);
    assert.deepEqual(reader.body, request.body);
    assert.equal(reader.body.buffer, body.buffer);
  }
  assert.equal(reader.next(), false);
  assert.equal(reader.reason, null);
  assert.deepEqual(decodeRequests(body, 2), { ok: true, value: sampleRequests });
  assert.deepEqual(decodeRequests(body, 1), { ok: false, reason: "count" });
  assert.deepEqual(decodeRequests(body, 3), { ok: false, reason: "count" });
  assert.deepEqual(decodeRequests(body.subarray(0, -1), 2), { ok: false, reason: "short" });
});

test("wire: a whole frame is not copied, an oversize one is refused", () => {
  const frame = encodePrepare(sampleScope, samplePrepare(1000));
  const splitter = new FrameSplitter(headerBytes, frameSize);
  const frames: Uint8Array[] = [];
  assert.equal(
    splitter.push(frame, (f) => frames.push(f)),
    null,
  );
  assert.equal(frames[0]?.buffer, frame.buffer);
  const oversize = frame.slice();
  new DataView(oversize.buffer).setUint32(104, 300 * 1024, true);
  assert.equal(
    splitter.push(oversize, (f) => frames.push(f)),
    "size",
  );
  assert.equal(
    splitter.push(frame, (f) => frames.push(f)),
    "size",
  );
  assert.equal(frames.length, 1);
  assert.equal(splitter.heldBytes, 0);
});
