import type { AddressInfo, Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { ClientId } from "#replica/base/brands.ts";
import type { Timing } from "#replica/base/timing.ts";
import { decodeClientMessage, encodeServerMessage } from "#replica/wire/client-codec.ts";
import { clientFrameSize, clientHeadBytes } from "#replica/wire/client-codec.ts";
import type { ClientFrame } from "#replica/wire/client-codec.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import { FrameSplitter } from "#replica/wire/frame-splitter.ts";
import type { TlsIdentity } from "./tls-identity.ts";
import { listenOptions, peerCertificateOf, type TlsMaterial } from "./tls-options.ts";

/** Bytes that wait for a slow reader at most; then its connection is closed. */
export const clientQueueBytesMax = 8 * 1024 * 1024;
/** Connections at most; a further one is closed at once. */
export const clientConnectionsMax = 1024;
/** Times of client connections unless a configuration says otherwise, ms. */
const timingDefault = { clientSilenceMs: 30_000, handshakeMs: 3_000 } as const;

/** What happened on the client port since the process started; for metrics. */
export interface ClientCounts {
  connects: number;
  framesReceived: number;
  bytesReceived: number;
  framesSent: number;
  bytesSent: number;
  refusedIdentity: number;
  refusedFrame: number;
  closedSlow: number;
}

/** How the client port is served. Callbacks must not throw. */
export interface ClientListenerOptions {
  /** 32 hex digits; certificates of other clusters are refused. */
  readonly cluster: string;
  /** Replicas of this shard are let in too; absent: no replica is. */
  readonly shard?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsMaterial;
  /** Silence after which a connection is closed, and of handshakes; see base/timing.ts. */
  readonly timing?: Pick<Timing, "clientSilenceMs" | "handshakeMs">;
  /** `hello` comes first and once a connection; its answer is a `view`. */
  readonly onMessage: (connection: ClientConnection, message: ClientMessage) => void;
  /** Only for connections whose hello was told. */
  readonly onClosed: (connection: ClientConnection) => void;
  readonly onLog?: (what: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** One authenticated client's connection. */
export class ClientConnection {
  /** From its hello. */
  clientId: ClientId | null = null;
  readonly identity: TlsIdentity;
  /** Anything the server wants to remember of it. */
  tag: unknown = null;
  private readonly socket: TLSSocket;
  private readonly counts: ClientCounts;
  private lastView: ClientFrame | null = null;
  private corked = false;
  private readonly uncork = (): void => {
    this.corked = false;
    this.socket.uncork();
  };

  constructor(socket: TLSSocket, identity: TlsIdentity, counts: ClientCounts) {
    this.socket = socket;
    this.identity = identity;
    this.counts = counts;
  }

  /** Bytes that the client has not taken yet. */
  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  /** Sends in this tick's write; a client that reads too slowly loses its connection instead. */
  send(message: ServerMessage): void {
    const frame = encodeServerMessage(message);
    if (message.kind === "view") this.lastView = frame;
    this.sendFrame(frame);
  }

  /** {@link send} of a frame that was encoded once for several connections. */
  sendFrame(frame: ClientFrame): void {
    if (this.socket.destroyed) return;
    if (this.socket.writableLength > clientQueueBytesMax) {
      this.counts.closedSlow += 1;
      this.socket.destroy();
      return;
    }
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      process.nextTick(this.uncork);
    }
    this.socket.write(frame.head);
    if (frame.tail.length > 0) this.socket.write(frame.tail);
    this.counts.framesSent += 1;
    this.counts.bytesSent += frame.head.length + frame.tail.length;
  }

  /** A repeated hello asks whether the path is alive: the last view again. */
  repeatView(): void {
    if (this.lastView !== null) this.sendFrame(this.lastView);
  }

  /** Ends the connection at once. */
  close(): void {
    this.socket.destroy();
  }
}

/**
 * The client port: mTLS, roles edge and operator, and replicas of the same shard, which write their
 * audit lines; frames of client-codec.
 */
export class ClientListener {
  readonly counts: ClientCounts = {
    connects: 0,
    framesReceived: 0,
    bytesReceived: 0,
    framesSent: 0,
    bytesSent: 0,
    refusedIdentity: 0,
    refusedFrame: 0,
    closedSlow: 0,
  };
  private readonly options: ClientListenerOptions;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly open = new Set<ClientConnection>();

  /** Accepts after {@link listen}. */
  constructor(options: ClientListenerOptions) {
    this.options = options;
    const { handshakeMs } = options.timing ?? timingDefault;
    const tlsOptions = listenOptions(options.tls, handshakeMs);
    this.server = createServer(tlsOptions, (socket) => this.onAccepted(socket));
    this.server.maxConnections = clientConnectionsMax;
    this.server.on("connection", (socket: Socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    this.server.on("tlsClientError", (error, socket) => {
      socket.destroy();
      options.onLog?.("client_tls_failed", { why: error.message });
    });
  }

  /** Connections that said hello. */
  get connections(): ReadonlySet<ClientConnection> {
    return this.open;
  }

  /** Binds the port; resolves with its number. Rejects when it is taken. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.options.listen.port, this.options.listen.host, resolve);
    });
    return (this.server.address() as AddressInfo).port;
  }

  /** A rotated certificate or trust bundle, for every later connection; open ones go on. */
  setTls(tls: TlsMaterial): void {
    this.server.setSecureContext(listenOptions(tls));
  }

  /** Closes port and connections. */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }

  private onAccepted(socket: TLSSocket): void {
    socket.on("error", () => undefined);
    const identity = peerCertificateOf(socket)?.identity;
    if (
      identity === undefined ||
      (identity.role === "replica" && identity.shard !== this.options.shard) ||
      identity.cluster !== this.options.cluster
    ) {
      this.counts.refusedIdentity += 1;
      this.options.onLog?.("client_refused_identity", { identity });
      socket.destroy();
      return;
    }
    this.counts.connects += 1;
    const connection = new ClientConnection(socket, identity, this.counts);
    const splitter = new FrameSplitter(clientHeadBytes, clientFrameSize);
    const take = (frame: Uint8Array): void => this.onFrame(connection, socket, frame);
    socket.setNoDelay(true);
    const { clientSilenceMs } = this.options.timing ?? timingDefault;
    socket.setTimeout(clientSilenceMs, () => socket.destroy());
    socket.on("data", (chunk: Uint8Array) => {
      this.counts.bytesReceived += chunk.length;
      const refusal = splitter.push(chunk, take);
      if (refusal !== null) this.refuse(connection, refusal);
    });
    socket.on("close", () => {
      if (this.open.delete(connection)) this.options.onClosed(connection);
    });
  }

  private onFrame(connection: ClientConnection, socket: TLSSocket, frame: Uint8Array): void {
    if (socket.destroyed) return;
    this.counts.framesReceived += 1;
    // A small frame would keep the whole chunk alive that it came in.
    const own = frame.length * 4 < frame.buffer.byteLength ? frame.slice() : frame;
    const message = decodeClientMessage(own);
    if (!message.ok) {
      this.refuse(connection, message.reason);
    } else if (message.value.kind === "hello") {
      this.onHello(connection, message.value);
    } else if (connection.clientId === null) {
      this.refuse(connection, "no hello");
    } else {
      this.options.onMessage(connection, message.value);
    }
  }

  private onHello(
    connection: ClientConnection,
    hello: ClientMessage & { readonly kind: "hello" },
  ): void {
    if (connection.clientId === null) {
      connection.clientId = hello.clientId;
      this.open.add(connection);
      this.options.onMessage(connection, hello);
    } else if (connection.clientId === hello.clientId) {
      connection.repeatView();
    } else {
      this.refuse(connection, "second client");
    }
  }

  private refuse(connection: ClientConnection, why: string): void {
    this.counts.refusedFrame += 1;
    this.options.onLog?.("client_frame_refused", { clientId: connection.clientId, why });
    connection.close();
  }
}
