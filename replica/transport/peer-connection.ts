import type { TLSSocket } from "node:tls";
import { assert } from "#replica/base/assert.ts";
import { viewFrom } from "#replica/base/brands.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { headerBytes } from "#replica/base/limits.ts";
import { signEd25519, verifyEd25519 } from "#replica/crypto/ed25519.ts";
import { random } from "#replica/crypto/hash.ts";
import { FrameSplitter } from "#replica/wire/frame-splitter.ts";
import {
  dataViewOf,
  frameAt,
  frameCommandOf,
  frameSize,
  refuseFrame,
  sealFrame,
  writeFrameStart,
} from "#replica/wire/frame.ts";
import { readHex } from "#replica/wire/hex.ts";
import { encodePeerMessage, readPeerMessage } from "#replica/wire/peer-codec.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { Key, OwnKey, PeerCounts, PeerMember, PeerScope } from "./peer-scope.ts";

// On a connection every frame stands behind [counter u64][sender's view u64]. The counter rises
// with every frame; the view is what a relayed prepare's own header cannot tell.
const prefixBytes = 16;
const nonceBytes = 32;
const viewAt = 8;

/** Bytes that wait in the socket at most; a frame that finds more is dropped. */
export const sendQueueBytesMax = 4 * 1024 * 1024;

type PrepareOk = Extract<PeerMessage, { kind: "prepare_ok" }>;

/** What a connection tells its owner. */
export interface PeerConnectionEvents {
  /** The peer proved who it is and lives in its present incarnation. */
  opened(): void;
  message(message: PeerMessage): void;
  /** False for an ack that may be dropped unverified, since it would change nothing. */
  wantsAck(ack: PrepareOk): boolean;
  /** Once; nothing comes after it. */
  closed(why: string): void;
}

/**
 * One authenticated connection to one peer: hello with nonces, then signed frames both ways.
 * A hello is signed over its checksum and the TLS channel's exporter; a prepare over its checksum
 * alone by its author; every other frame over checksum, the receiver's nonce and the counter.
 */
export class PeerConnection {
  readonly peer: PeerMember;
  /** The own key of its certificate, which signs its frames. */
  readonly own: OwnKey;
  private readonly socket: TLSSocket;
  private readonly scope: PeerScope;
  private readonly counts: PeerCounts;
  private readonly events: PeerConnectionEvents;
  private readonly splitter = new FrameSplitter(prefixBytes + headerBytes, recordSize);
  private readonly nonce = random(nonceBytes);
  private readonly exporter: Uint8Array;
  private peerNonce: Uint8Array | null = null;
  private counterSent = 0;
  private counterReceived = 0;
  private corked = false;
  private isClosed = false;
  private isRetired = false;
  private sentAtMs = 0;
  private receivedAtMs = 0;
  private readonly timer: NodeJS.Timeout;
  private readonly take = (record: Uint8Array): void => this.onRecord(record);
  private readonly uncork = (): void => {
    this.corked = false;
    this.socket.uncork();
  };

  /** `socket`: TLS is up, the certificate is the member's; this takes it over and says hello. */
  constructor(
    socket: TLSSocket,
    scope: PeerScope,
    peer: PeerMember,
    own: OwnKey,
    counts: PeerCounts,
    events: PeerConnectionEvents,
  ) {
    this.socket = socket;
    this.scope = scope;
    this.peer = peer;
    this.own = own;
    this.counts = counts;
    this.events = events;
    this.exporter = socket.exportKeyingMaterial(
      nonceBytes,
      "EXPORTER-tigerchat-peer",
      Buffer.alloc(0),
    );
    this.receivedAtMs = performance.now();
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.onData(chunk));
    socket.on("error", (error) => this.close(error.message));
    socket.on("close", () => this.close("closed"));
    this.timer = setInterval(() => this.onTimer(), scope.peerAliveMs);
    this.timer.unref();
    this.sendHello();
  }

  /** True between `opened` and `closed`. */
  get open(): boolean {
    return this.peerNonce !== null && !this.isClosed;
  }

  /** Sends or drops; never waits. */
  send(message: PeerMessage): void {
    if (this.socket.writableLength > sendQueueBytesMax) {
      this.counts.droppedFull += 1;
      return;
    }
    const { header, body } = encodePeerMessage(this.scope.frames, message);
    this.write(header, body, message.view, message.kind !== "prepare");
  }

  /**
   * Says no more, for another connection has its place. What the peer still says on this one
   * counts, until it knows of the other one and ends too: a change of keys loses no frame.
   */
  retire(): void {
    if (this.isClosed || this.isRetired) return;
    this.isRetired = true;
    setTimeout(() => this.socket.end(), this.scope.peerAliveMs).unref();
  }

  /** Ends the connection at once. */
  close(why: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearInterval(this.timer);
    this.socket.destroy();
    this.events.closed(why);
  }

  private sendHello(): void {
    const header = this.ownHeader("hello");
    header.set(this.nonce, frameAt.fields);
    sealFrame(this.scope.frames, header);
    const checksum = header.subarray(0, frameAt.signature);
    const signature = signEd25519(this.own.privateKey, joined(checksum, this.exporter, null));
    header.set(signature, frameAt.signature);
    this.write(header, new Uint8Array(0), 0, false);
  }

  private ownHeader(command: "hello" | "alive"): Uint8Array {
    const header = new Uint8Array(headerBytes);
    writeFrameStart(this.scope.frames, header, {
      command,
      replica: this.scope.self.replica,
      incarnation: this.scope.self.incarnation,
      view: 0,
      bodyBytes: 0,
      bodyChecksum: this.scope.frames.emptyChecksum,
    });
    return header;
  }

  private write(header: Uint8Array, body: Uint8Array, view: number, signed: boolean): void {
    if (this.isClosed || this.isRetired) return;
    this.counterSent += 1;
    const start = new Uint8Array(prefixBytes + headerBytes);
    const numbers = dataViewOf(start);
    writeU64(numbers, 0, this.counterSent);
    writeU64(numbers, viewAt, view);
    start.set(header, prefixBytes);
    if (signed) {
      assert(this.peerNonce !== null, "TRN-01: nothing is sent before the peer's nonce is known");
      const message = joined(header.subarray(0, 32), this.peerNonce, start.subarray(0, 8));
      start.set(signEd25519(this.own.privateKey, message), prefixBytes + frameAt.signature);
    }
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      process.nextTick(this.uncork);
    }
    this.socket.write(start);
    if (body.length > 0) this.socket.write(body);
    this.sentAtMs = performance.now();
    this.counts.framesSent += 1;
    this.counts.bytesSent += start.length + body.length;
  }

  private onTimer(): void {
    const nowMs = performance.now();
    const { peerAliveMs, peerSilenceMs } = this.scope;
    if (nowMs - this.receivedAtMs > peerSilenceMs) this.close("silent");
    else if (this.open && nowMs - this.sentAtMs >= peerAliveMs / 2) {
      const header = this.ownHeader("alive");
      sealFrame(this.scope.frames, header);
      this.write(header, new Uint8Array(0), 0, true);
    }
  }

  private onData(chunk: Uint8Array): void {
    if (this.isClosed) return;
    this.receivedAtMs = performance.now();
    this.counts.bytesReceived += chunk.length;
    const refusal = this.splitter.push(chunk, this.take);
    if (refusal === null || this.isClosed) return;
    this.refuse("refusedFrame", refusal);
    this.close("unreadable stream");
  }

  private onRecord(record: Uint8Array): void {
    if (this.isClosed) return;
    this.counts.framesReceived += 1;
    // A small frame would keep the whole chunk alive that it came in.
    const own = record.length * 4 < record.buffer.byteLength ? record.slice() : record;
    const frame = own.subarray(prefixBytes);
    const refusal = refuseFrame(this.scope.frames, frame);
    if (refusal !== null) {
      this.refuse("refusedFrame", refusal);
      return;
    }
    const command = frameCommandOf(frame);
    if (this.peerNonce === null) this.onHello(frame);
    else if (command === "prepare") this.onPrepare(own, frame);
    else if (command === "prepare_ok" && this.superfluous(frame)) this.counts.acksSkipped += 1;
    else this.onSigned(own, frame, command === "alive");
  }

  private onHello(frame: Uint8Array): void {
    const checksum = frame.subarray(0, frameAt.signature);
    if (frameCommandOf(frame) !== "hello" || frame[frameAt.replica] !== this.peer.replica) {
      this.refuse("refusedFrame", "no hello");
      this.close("no hello");
    } else if (!this.verified(frame, joined(checksum, this.exporter, null), this.peer.key)) {
      this.refuse("refusedSignature", "hello");
      this.close("signature of hello");
    } else if (readHex(frame, frameAt.incarnation, 16) !== this.peer.incarnation) {
      this.refuse("refusedStale", "hello");
      this.close("stale incarnation");
    } else {
      this.peerNonce = frame.slice(frameAt.fields, frameAt.fields + nonceBytes);
      this.counts.connects += 1;
      this.events.opened();
    }
  }

  private onSigned(record: Uint8Array, frame: Uint8Array, alive: boolean): void {
    const counter = readU64(dataViewOf(record), 0);
    const message = joined(frame.subarray(0, 32), this.nonce, record.subarray(0, 8));
    if (!this.verified(frame, message, this.peer.key)) {
      this.refuse("refusedSignature", frameCommandOf(frame));
    } else if (!(counter > this.counterReceived)) {
      this.refuse("refusedReplay", frameCommandOf(frame));
    } else if (
      frame[frameAt.replica] !== this.peer.replica ||
      readHex(frame, frameAt.incarnation, 16) !== this.peer.incarnation
    ) {
      this.refuse("refusedStale", frameCommandOf(frame));
    } else {
      this.counterReceived = counter;
      if (!alive) this.deliver(frame, 0);
    }
  }

  /** Of what an unverified frame says only this is believed: that it may be dropped. */
  private superfluous(frame: Uint8Array): boolean {
    const { replica, incarnation } = this.peer;
    const relay = { from: replica, incarnation, view: viewFrom(0) };
    const read = readPeerMessage(this.scope.frames, frame, relay);
    return read.ok && read.value.kind === "prepare_ok" && !this.events.wantsAck(read.value);
  }

  private onPrepare(record: Uint8Array, frame: Uint8Array): void {
    const view = readU64(dataViewOf(record), viewAt);
    if (Number.isNaN(view)) this.refuse("refusedFrame", "view");
    else this.deliver(frame, view);
  }

  private deliver(frame: Uint8Array, view: number): void {
    const { replica, incarnation } = this.peer;
    const relay = { from: replica, incarnation, view: viewFrom(view) };
    const read = readPeerMessage(this.scope.frames, frame, relay);
    if (!read.ok) {
      this.refuse("refusedFrame", read.reason);
    } else if (read.value.kind !== "prepare" || this.authored(frame, read.value.prepare.header)) {
      this.events.message(read.value);
    }
  }

  /** A prepare is taken by its author's signature, whoever relays it. */
  private authored(frame: Uint8Array, header: PrepareHeader): boolean {
    // The root prepare is the same on all three by genesis, made before there were keys to sign.
    if (header.kind === "root") return header.op === 0;
    const keys = this.scope.authorKeys(header.author, header.incarnation, header.op);
    if (keys.length === 0) {
      // The key is gone with its incarnation, or another followed; but the op may be committed
      // and needed: consensus takes it by the checksum that its chain names, or not at all.
      this.counts.authorsGone += 1;
      return true;
    }
    const checksum = frame.subarray(0, frameAt.signature);
    if (keys.some(({ key }) => this.verified(frame, checksum, key))) return true;
    this.refuse("refusedSignature", "prepare");
    return false;
  }

  private verified(frame: Uint8Array, message: Uint8Array, key: Key): boolean {
    const signature = frame.subarray(frameAt.signature, frameAt.checksummed);
    return verifyEd25519(key, message, signature);
  }

  private refuse(
    kind: "refusedFrame" | "refusedSignature" | "refusedReplay" | "refusedStale",
    detail: string,
  ): void {
    this.counts[kind] += 1;
    const count = this.counts[kind];
    // Powers of two: a flood of bad frames is not a flood of lines.
    if ((count & (count - 1)) !== 0) return;
    const { replica, incarnation } = this.peer;
    this.scope.log("peer_frame_refused", { peer: replica, incarnation, kind, detail, count });
  }
}

function recordSize(bytes: Uint8Array, offset: number): number | string {
  const size = frameSize(bytes, offset + prefixBytes);
  return typeof size === "number" ? size + prefixBytes : size;
}

/** checksum 32 ‖ nonce or exporter 32 ‖ counter 8. */
function joined(checksum: Uint8Array, nonce: Uint8Array, counter: Uint8Array | null): Uint8Array {
  const bytes = new Uint8Array(checksum.length + nonce.length + 8);
  bytes.set(checksum, 0);
  bytes.set(nonce, checksum.length);
  if (counter !== null) bytes.set(counter, checksum.length + nonce.length);
  return bytes;
}
