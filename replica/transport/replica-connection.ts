import { connect, type TLSSocket } from "node:tls";
import type { ClientId, ReplicaIndex } from "#replica/base/brands.ts";
import {
  clientFrameSize,
  clientHeadBytes,
  decodeServerMessage,
  encodeClientMessage,
} from "#replica/wire/client-codec.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import { FrameSplitter } from "#replica/wire/frame-splitter.ts";
import { Backoff, backoffDefault } from "./backoff.ts";
import { dialOptions, handshakeTimeoutMs, peerCertificateOf } from "./tls-options.ts";
import type { TlsMaterial } from "./tls-options.ts";

/** Where and whom to dial, and whom to tell. Callbacks must not throw. */
export interface ReplicaConnectionOptions {
  readonly clientId: ClientId;
  readonly cluster: string;
  readonly shard: string;
  readonly replica: ReplicaIndex;
  readonly host: string;
  readonly port: number;
  readonly tls: () => TlsMaterial;
  readonly onConnected: () => void;
  /** After onConnected, once each. */
  readonly onDisconnected: () => void;
  readonly onMessage: (message: ServerMessage) => void;
  /** A certificate or a frame was refused. */
  readonly onRefused: (why: string) => void;
}

/** A hello is repeated this often; the replica answers with its last view. */
const aliveMs = 500;
/** A connection that brought nothing for this long is closed and dialled anew. */
const silenceMs = 2000;
/** Bytes that wait in the socket at most; more is dropped and sent again by its owner later. */
const queueBytesMax = 8 * 1024 * 1024;

/** A client's connection to one replica's client port, made anew for ever until closed. */
export class ReplicaConnection {
  private readonly options: ReplicaConnectionOptions;
  private readonly backoff = new Backoff(backoffDefault);
  private readonly hello: ClientMessage;
  private socket: TLSSocket | null = null;
  private connected = false;
  private closed = false;
  private retry: NodeJS.Timeout | null = null;
  private readonly alive: NodeJS.Timeout;
  private receivedAtMs = 0;
  private corked = false;

  /** Dials at once. */
  constructor(options: ReplicaConnectionOptions) {
    this.options = options;
    this.hello = { kind: "hello", clientId: options.clientId, protocol: 1 };
    this.alive = setInterval(() => this.onAliveTimer(), aliveMs);
    this.dial();
  }

  /** Sends in this tick's write; drops when there is no connection or its queue is full. */
  send(message: ClientMessage): void {
    const socket = this.socket;
    if (!this.connected || socket === null || socket.writableLength > queueBytesMax) return;
    const frame = encodeClientMessage(message);
    if (!this.corked) {
      this.corked = true;
      socket.cork();
      process.nextTick(() => {
        this.corked = false;
        socket.uncork();
      });
    }
    socket.write(frame.head);
    if (frame.tail.length > 0) socket.write(frame.tail);
  }

  /** Ends it for good; tells nothing any more. */
  close(): void {
    this.closed = true;
    clearInterval(this.alive);
    if (this.retry !== null) clearTimeout(this.retry);
    this.socket?.destroy();
  }

  private dial(): void {
    this.retry = null;
    const { host, port, tls } = this.options;
    const socket = connect(dialOptions(tls(), host, port));
    this.socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(handshakeTimeoutMs, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.once("secureConnect", () => this.onSecure(socket));
    socket.once("close", () => this.onClose(socket));
  }

  private onSecure(socket: TLSSocket): void {
    socket.setTimeout(0);
    const identity = peerCertificateOf(socket)?.identity;
    const { cluster, shard, replica } = this.options;
    if (
      identity?.role !== "replica" ||
      identity.cluster !== cluster ||
      identity.shard !== shard ||
      identity.replica !== replica
    ) {
      this.refuse(socket, "identity");
      return;
    }
    const splitter = new FrameSplitter(clientHeadBytes, clientFrameSize);
    const take = (frame: Uint8Array): void => this.onFrame(socket, frame);
    socket.on("data", (chunk: Uint8Array) => {
      this.receivedAtMs = performance.now();
      const refusal = splitter.push(chunk, take);
      if (refusal !== null) this.refuse(socket, refusal);
    });
    this.connected = true;
    this.receivedAtMs = performance.now();
    this.send(this.hello);
    this.options.onConnected();
  }

  private onFrame(socket: TLSSocket, frame: Uint8Array): void {
    if (this.closed || socket.destroyed) return;
    const message = decodeServerMessage(frame);
    if (!message.ok) {
      this.refuse(socket, message.reason);
      return;
    }
    this.backoff.reset();
    this.options.onMessage(message.value);
  }

  private onAliveTimer(): void {
    if (!this.connected) return;
    if (performance.now() - this.receivedAtMs > silenceMs) this.socket?.destroy();
    else this.send(this.hello);
  }

  private refuse(socket: TLSSocket, why: string): void {
    socket.destroy();
    if (!this.closed) this.options.onRefused(why);
  }

  private onClose(socket: TLSSocket): void {
    if (this.socket !== socket || this.closed) return;
    const was = this.connected;
    this.socket = null;
    this.connected = false;
    this.corked = false;
    if (was) this.options.onDisconnected();
    this.retry = setTimeout(() => this.dial(), this.backoff.next());
  }
}
