import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { Timing } from "#replica/base/timing.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { Backoff } from "./backoff.ts";
import { PeerConnection } from "./peer-connection.ts";
import { noPeerCounts, type PeerCounts, type PeerScope } from "./peer-scope.ts";
import { dialOptions, peerCertificateOf } from "./tls-options.ts";
import type { TlsMaterial } from "./tls-options.ts";

/** Times of dialling. */
export type DialTiming = Pick<
  Timing,
  "handshakeMs" | "redialFirstMs" | "redialMaxMs" | "refusedWindowMs"
>;

/** Where a peer listens, and whom to tell. */
export interface PeerLinkOptions {
  readonly scope: PeerScope;
  /** Of dialling; see base/timing.ts. */
  readonly timing: DialTiming;
  readonly peer: ReplicaIndex;
  readonly host: string;
  readonly port: number;
  /** Read at every dial: a rotated identity serves the next connection. */
  readonly tls: () => TlsMaterial;
  readonly onMessage: (message: PeerMessage) => void;
  /** See {@link PeerNetworkOptions}. */
  readonly wantsAck: (ack: Extract<PeerMessage, { kind: "prepare_ok" }>) => boolean;
  /** The connection closed, and the peer's port refused the next one: its process is gone. */
  readonly onRefused: (peer: ReplicaIndex) => void;
  /** The link came up or went down. */
  readonly onChange: (peer: ReplicaIndex, connected: boolean) => void;
}

/**
 * A dying process's port may take one more connection before it closes. So that this does not hide
 * a death for a whole delay, the first dials after a close follow each other quickly; of a kernel's
 * making, so no configuration.
 */
const quickDials = { count: 3, delayMs: 2 } as const;

/**
 * The link to one peer, for ever: one connection at a time, made anew when lost. The higher index
 * dials the lower; the other side only looks whether the port still answers when a connection
 * closed. A newer authenticated connection takes the place of an older one, which must be dead.
 */
export class PeerLink {
  readonly counts: PeerCounts = noPeerCounts();
  private readonly options: PeerLinkOptions;
  private readonly dials: boolean;
  private readonly backoff: Backoff;
  private connection: PeerConnection | null = null;
  private readonly greeting = new Set<PeerConnection>();
  private dialling: Socket | null = null;
  private timer: NodeJS.Timeout | null = null;
  private closedAtMs: number | null = null;
  private quickDialsLeft = 0;
  private stopped = false;

  /** Dials at once when it is this side's part. */
  constructor(options: PeerLinkOptions) {
    const self = options.scope.self.replica;
    assert(options.peer !== self, "TRN-02: a replica has no link to itself");
    this.options = options;
    this.dials = self > options.peer;
    this.backoff = new Backoff(options.timing);
    if (this.dials) this.dial();
  }

  /** True while messages can be sent. */
  get connected(): boolean {
    return this.connection?.open === true;
  }

  /** Sends or drops; consensus sends again what matters. */
  send(message: PeerMessage): void {
    if (this.connection?.open === true) this.connection.send(message);
    else this.counts.droppedDown += 1;
  }

  /** Takes a socket whose TLS handshake is done; refuses it unless it is this peer's. */
  adopt(socket: TLSSocket): void {
    const { scope, peer } = this.options;
    const refusal = this.refusalOf(socket);
    const member = scope.member(peer);
    if (refusal !== null || member === null || this.stopped) {
      this.counts.refusedIdentity += 1;
      scope.log("peer_refused_identity", { peer, why: refusal ?? "not a member" });
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const connection: PeerConnection = new PeerConnection(socket, scope, member, this.counts, {
      opened: () => this.onOpened(connection),
      message: this.options.onMessage,
      wantsAck: this.options.wantsAck,
      closed: (why) => this.onClosed(connection, why),
    });
    this.greeting.add(connection);
  }

  /** The member's key changed: what speaks in the old incarnation's name ends. */
  onMembers(): void {
    const current = this.options.scope.member(this.options.peer);
    if (this.connection === null || this.connection.peer.publicKey === current?.publicKey) return;
    this.connection.close("member replaced");
  }

  /** Closes for good. */
  close(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.dialling?.destroy();
    this.connection?.close("stopped");
    for (const connection of this.greeting) connection.close("stopped");
  }

  private refusalOf(socket: TLSSocket): string | null {
    const { scope, peer } = this.options;
    const certificate = peerCertificateOf(socket);
    if (certificate === null) return "certificate";
    const { identity, publicKey } = certificate;
    if (identity.role !== "replica") return "role";
    if (identity.cluster !== scope.cluster || identity.shard !== scope.shard) return "shard";
    if (identity.replica !== peer) return "replica";
    return publicKey === scope.member(peer)?.publicKey ? null : "key";
  }

  private onOpened(connection: PeerConnection): void {
    const older = this.connection;
    this.greeting.delete(connection);
    this.connection = connection;
    this.closedAtMs = null;
    this.backoff.reset();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    older?.close("superseded");
    this.options.scope.log("peer_connected", { peer: this.options.peer });
    this.options.onChange(this.options.peer, true);
  }

  private onClosed(connection: PeerConnection, why: string): void {
    this.greeting.delete(connection);
    if (this.connection === connection) {
      this.connection = null;
      this.closedAtMs = performance.now();
      this.quickDialsLeft = quickDials.count;
      this.options.scope.log("peer_disconnected", { peer: this.options.peer, why });
      this.options.onChange(this.options.peer, false);
      this.again(0);
    } else if (this.connection === null) {
      this.again(this.backoff.next());
    }
  }

  private again(delayMs: number): void {
    if (this.stopped || this.timer !== null || this.dialling !== null) return;
    const sinceMs = performance.now() - (this.closedAtMs ?? Number.NEGATIVE_INFINITY);
    if (!this.dials && sinceMs > this.options.timing.refusedWindowMs) return;
    if (delayMs === 0) {
      this.dial();
      return;
    }
    this.timer = setTimeout(() => {
      this.timer = null;
      this.dial();
    }, delayMs);
  }

  private dial(): void {
    if (this.stopped || this.connection !== null || this.dialling !== null) return;
    if (this.dials) this.dialTls();
    else this.probe();
  }

  private dialTls(): void {
    const { host, port, timing } = this.options;
    const socket = connectTls(dialOptions(this.options.tls(), host, port));
    this.dialling = socket;
    socket.setTimeout(timing.handshakeMs, () => socket.destroy());
    socket.on("error", (error) => this.onDialError(error));
    socket.once("close", () => this.onDialEnd(socket));
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.removeAllListeners("close");
      socket.removeAllListeners("error");
      this.dialling = null;
      this.adopt(socket);
      if (socket.destroyed) this.again(this.backoff.next());
    });
  }

  /** Looks whether the peer's port answers, without saying anything. */
  private probe(): void {
    const { host, port, timing } = this.options;
    const socket = connectTcp({ host, port });
    this.dialling = socket;
    socket.setTimeout(timing.handshakeMs, () => socket.destroy());
    socket.on("error", (error) => this.onDialError(error));
    socket.once("connect", () => socket.destroy());
    socket.once("close", () => this.onDialEnd(socket));
  }

  private onDialError(error: Error & { readonly code?: string }): void {
    const sinceMs = performance.now() - (this.closedAtMs ?? Number.NEGATIVE_INFINITY);
    const late = sinceMs > this.options.timing.refusedWindowMs;
    if (error.code !== "ECONNREFUSED" || late) return;
    this.closedAtMs = null;
    this.options.onRefused(this.options.peer);
  }

  private onDialEnd(socket: Socket): void {
    if (this.dialling !== socket) return;
    this.dialling = null;
    const quick = this.quickDialsLeft > 0;
    if (quick) this.quickDialsLeft -= 1;
    this.again(quick ? quickDials.delayMs : this.backoff.next());
  }
}
