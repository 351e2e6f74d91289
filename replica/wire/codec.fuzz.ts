// Goal: no bytes make a decoder throw, and what it accepts is the one encoding of what it returns.
// Method: noise, and valid frames with a few bytes changed; a hash that always says zero lets
// changed bytes through to the fields, which SHA-256 would stop at the door.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checksumZero } from "#replica/base/brands.ts";
import { headerBytes } from "#replica/base/limits.ts";
import {
  sampleClientMessages,
  samplePeerMessages,
  samplePrepare,
  sampleRequests,
  sampleServerMessages,
} from "#test/support/wire-samples.ts";
import {
  clientFrameSize,
  clientHeadBytes,
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
} from "./client-codec.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import { frameScopeFrom, frameSize } from "./frame.ts";
import { decodePeerMessage, encodePeerMessage } from "./peer-codec.ts";
import type { PeerMessage } from "./peer-message.ts";
import { decodePrepare, encodePrepare } from "./prepare-codec.ts";
import type { PrepareHeader } from "./prepare.ts";
import { decodeRequests, encodeRequests } from "./request.ts";

const scope = frameScopeFrom({
  cluster: "00112233445566778899aabbccddeeff",
  shard: "lobby",
  hash: () => checksumZero,
});
const numRuns = 2000;

function joined(parts: { readonly [part: string]: Uint8Array }): Uint8Array {
  return new Uint8Array(Buffer.concat(Object.values(parts)));
}

function blank(header: PrepareHeader): PrepareHeader {
  return { ...header, checksum: checksumZero, bodyChecksum: checksumZero };
}

function blanked(message: PeerMessage): PeerMessage {
  switch (message.kind) {
    case "prepare":
      return {
        ...message,
        prepare: { header: blank(message.prepare.header), body: message.prepare.body },
      };
    case "do_view_change":
      return { ...message, headers: message.headers.map((h) => (h === null ? null : blank(h))) };
    case "start_view":
    case "headers":
      return { ...message, headers: message.headers.map(blank) };
    default:
      return message;
  }
}

/** Valid bytes with up to six bytes changed, cut or lengthened. */
function damaged(valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(2000), value: fc.integer({ min: 0, max: 255 }) });
  return fc
    .record({
      bytes: fc.constantFrom(...valid),
      changes: fc.array(change, { maxLength: 6 }),
      length: fc.option(fc.nat(3000), { freq: 4 }),
    })
    .map(({ bytes, changes, length }) => {
      const copy = new Uint8Array(length ?? bytes.length);
      copy.set(bytes.subarray(0, copy.length));
      for (const { at, value } of changes) copy[at % Math.max(1, copy.length)] = value;
      return copy;
    });
}

function check(
  valid: readonly Uint8Array[],
  decodeAndEncode: (bytes: Uint8Array) => Uint8Array | null,
): void {
  for (const bytes of valid) assert(decodeAndEncode(bytes) !== null, "a sample is accepted");
  fc.assert(
    fc.property(fc.oneof(damaged(valid), fc.uint8Array({ maxLength: 1200 })), (bytes) => {
      const again = decodeAndEncode(bytes);
      if (again !== null) assert.deepEqual(again, bytes);
    }),
    { numRuns },
  );
}

const relay = samplePeerMessages[0];
assert(relay);
const sender = { from: relay.from, incarnation: relay.incarnation, view: relay.view };

test("fuzz: messages between replicas", () => {
  const valid = samplePeerMessages.map((m) => joined({ ...encodePeerMessage(scope, blanked(m)) }));
  check(valid, (bytes) => {
    const decoded = decodePeerMessage(scope, bytes, sender);
    if (!decoded.ok) return null;
    const again = joined({ ...encodePeerMessage(scope, decoded.value) });
    // The signature of other frames than prepares is the transport's, not the codec's.
    if (decoded.value.kind !== "prepare") again.set(bytes.subarray(32, 96), 32);
    return again;
  });
});

test("fuzz: prepares", () => {
  const prepares = [samplePrepare(9), samplePrepare(10, new Uint8Array(0))];
  const valid = prepares.map(({ header, body }) =>
    encodePrepare(scope, { header: blank(header), body }),
  );
  check(valid, (bytes) => {
    const decoded = decodePrepare(scope, bytes);
    return decoded.ok ? encodePrepare(scope, decoded.value) : null;
  });
});

test("fuzz: requests of a prepare", () => {
  check([encodeRequests(sampleRequests)], (bytes) => {
    const decoded = decodeRequests(bytes, 2);
    return decoded.ok ? encodeRequests(decoded.value) : null;
  });
});

test("fuzz: client port, both ways", () => {
  const toReplica = sampleClientMessages.map((m) => joined({ ...encodeClientMessage(m) }));
  check(toReplica, (bytes) => {
    const decoded = decodeClientMessage(bytes);
    return decoded.ok ? joined({ ...encodeClientMessage(decoded.value) }) : null;
  });
  const toClient = sampleServerMessages.map((m) => joined({ ...encodeServerMessage(m) }));
  check(toClient, (bytes) => {
    const decoded = decodeServerMessage(bytes);
    return decoded.ok ? joined({ ...encodeServerMessage(decoded.value) }) : null;
  });
});

test("fuzz: a stream cut anywhere gives the same frames; noise ends it without a throw", () => {
  const peers = samplePeerMessages.map((m) => joined({ ...encodePeerMessage(scope, blanked(m)) }));
  const clients = sampleServerMessages.map((m) => joined({ ...encodeServerMessage(m) }));
  const sizes = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(sizes, fc.boolean(), fc.nat(), (cuts, isPeer, noise) => {
      const frames = isPeer ? peers : clients;
      const splitter = isPeer
        ? new FrameSplitter(headerBytes, frameSize)
        : new FrameSplitter(clientHeadBytes, clientFrameSize);
      const stream = Buffer.concat([...frames, ...frames]);
      const found: Uint8Array[] = [];
      for (let at = 0, i = 0; at < stream.length; i += 1) {
        const end = at + (cuts[i % cuts.length] ?? 1);
        assert.equal(
          splitter.push(stream.subarray(at, end), (frame) => found.push(frame.slice())),
          null,
        );
        at = end;
      }
      assert.deepEqual(
        found.map((frame) => Buffer.from(frame).toString("hex")),
        [...frames, ...frames].map((frame) => Buffer.from(frame).toString("hex")),
      );
      splitter.push(new Uint8Array(400).fill(noise % 256), () => undefined);
    }),
    { numRuns: 100 },
  );
});
