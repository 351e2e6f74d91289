import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { Timing } from "#replica/base/timing.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { Backoff } from "./backoff.ts";
import { PeerConnection } from "./peer-connection.ts";
import { noPeerCounts, type OwnKey, type PeerCounts, type PeerScope } from "./peer-scope.ts";
import { dialOptions, keyName, peerCertificateOf } from "./tls-options.ts";

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
  /** Dials since the last open connection that came to nothing: with two keys each has its turn. */
  private fruitless = 0;
  /** A connection whose keys are not those of now is renewed, or ended, when this fires. */
  private renewal: NodeJS.Timeout | null = null;

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

  /** Takes a socket whose handshake is done under that own key; refuses what is not this peer's. */
  adopt(socket: TLSSocket, own: OwnKey): void {
    const { scope, peer } = this.options;
    const certificate = peerCertificateOf(socket);
    const refusal = this.refusalOf(certificate);
    const member = scope.accepted(peer, certificate?.publicKey ?? null);
    if (refusal !== null || member === null || this.stopped) {
      this.counts.refusedIdentity += 1;
      scope.log("peer_refused_identity", { peer, why: refusal ?? "key" });
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const connection: PeerConnection = new PeerConnection(socket, scope, member, own, this.counts, {
      opened: () => this.onOpened(connection),
      message: this.options.onMessage,
      wantsAck: this.options.wantsAck,
      closed: (why) => this.onClosed(connection, why),
    });
    this.greeting.add(connection);
  }

  /**
   * A key changed, the peer's or the own one. What speaks in an old incarnation's name ends at
   * once; under a former key of the same volume it goes on until there is another connection.
   */
  onKeys(): void {
    if (this.connection === null) return;
    const { scope, peer } = this.options;
    if (this.connection.peer.incarnation !== scope.member(peer)?.incarnation) {
      this.connection.close("member replaced");
    } else if (!this.current(this.connection)) {
      this.renewLater(0);
    }
  }

  /** True when a connection has the keys that a new one would have. */
  private current({ own, peer }: PeerConnection): boolean {
    const { scope } = this.options;
    if (peer.publicKey !== scope.member(peer.replica)?.publicKey) return false;
    return own.publicKey === scope.keys()[0]?.publicKey;
  }

  private renewLater(delayMs: number): void {
    if (this.stopped || this.renewal !== null) return;
    this.renewal = setTimeout(() => {
      this.renewal = null;
      this.renew();
    }, delayMs);
    this.renewal.unref();
  }

  /**
   * Dials anew beside a connection under a former key, and takes that one's place when it is open.
   * A key of the peer that counts no more ends after a while, whoever dials.
   */
  private renew(): void {
    const { connection, options } = this;
    if (connection === null || this.stopped || this.current(connection)) return;
    const { replica, publicKey } = connection.peer;
    this.formerMs ??= performance.now();
    const late = performance.now() - this.formerMs > options.scope.peerSilenceMs;
    if (late && options.scope.accepted(replica, publicKey) === null) {
      connection.close("former key");
      return;
    }
    if (this.dials && this.dialling === null && this.greeting.size === 0) this.dialTls();
    this.renewLater(options.timing.redialMaxMs);
  }

  /** Since when the connection has a former key, or null. */
  private formerMs: number | null = null;

  /** Closes for good. */
  close(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.renewal !== null) clearTimeout(this.renewal);
    this.dialling?.destroy();
    this.connection?.close("stopped");
    for (const connection of this.greeting) connection.close("stopped");
  }

  private refusalOf(certificate: ReturnType<typeof peerCertificateOf>): string | null {
    const { scope, peer } = this.options;
    if (certificate === null) return "certificate";
    const { identity } = certificate;
    if (identity.role !== "replica") return "role";
    if (identity.cluster !== scope.cluster || identity.shard !== scope.shard) return "shard";
    return identity.replica === peer ? null : "replica";
  }

  private onOpened(connection: PeerConnection): void {
    const older = this.connection;
    this.greeting.delete(connection);
    this.connection = connection;
    this.closedAtMs = null;
    this.fruitless = 0;
    this.formerMs = null;
    this.backoff.reset();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    // One under other keys lives, and what is under way on it shall arrive; any other is dead.
    const { own, peer } = connection;
    const same = older?.own.publicKey === own.publicKey && older.peer.publicKey === peer.publicKey;
    if (same) older.close("superseded");
    else older?.retire();
    this.options.scope.log("peer_connected", { peer: this.options.peer });
    this.options.onChange(this.options.peer, true);
    this.onKeys();
  }

  private onClosed(connection: PeerConnection, why: string): void {
    if (this.greeting.delete(connection)) this.fruitless += 1;
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
    const { host, port, timing, scope, peer } = this.options;
    const keys = scope.keys();
    // A peer that is behind takes the former key only; whether it is, its refusal tells.
    const own = keys[this.connection === null ? this.fruitless % keys.length : 0];
    assert(own !== undefined, "TRN-05: a replica has a key");
    const expected = keyName(scope.member(peer)?.publicKey ?? "");
    const socket = connectTls(dialOptions(own.tls, host, port, expected));
    this.dialling = socket;
    socket.setTimeout(timing.handshakeMs, () => socket.destroy());
    socket.on("error", (error) => this.onDialError(error));
    socket.once("close", () => this.onDialEnd(socket));
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.removeAllListeners("close");
      socket.removeAllListeners("error");
      this.dialling = null;
      this.adopt(socket, own);
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
