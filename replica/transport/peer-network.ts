import type { AddressInfo, Socket } from "node:net";
import {
  createSecureContext,
  createServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from "node:tls";
import { assert } from "#replica/base/assert.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import type { Incarnation, ReplicaIndex } from "#replica/base/brands.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import { publicKeyHex } from "#replica/crypto/ed25519.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { type KnownMember, MemberKeys } from "./member-keys.ts";
import { type DialTiming, PeerLink } from "./peer-link.ts";
import type { LogFacts, OwnKey, PeerCounts, PeerScope } from "./peer-scope.ts";
import { keyName, listenOptions, peerCertificateOf } from "./tls-options.ts";

/** Address of one replica's peer port. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** Times of a link: of dialling, of signs of life and of silence. */
export type LinkTiming = DialTiming & Pick<Timing, "peerAliveMs" | "peerSilenceMs">;

/** What a replica's side of the shard's network is made of. Callbacks must not throw. */
export interface PeerNetworkOptions {
  readonly self: { readonly replica: ReplicaIndex; readonly incarnation: Incarnation };
  /** 32 hex digits. */
  readonly cluster: string;
  readonly shard: string;
  /** By replica index; the own one is not dialled. */
  readonly addresses: readonly [PeerAddress, PeerAddress, PeerAddress];
  readonly listen: PeerAddress;
  readonly members: readonly Member[];
  /** Members that were, of which prepares may come. */
  readonly former?: readonly KnownMember[];
  /** Keys of the volume, at least one; see {@link PeerScope}. */
  readonly keys: readonly OwnKey[];
  /** Times of links, ms; see base/timing.ts. Default: as there. */
  readonly timing?: LinkTiming;
  readonly onMessage: (message: PeerMessage) => void;
  /** False for an ack that would change nothing: it is dropped before it is verified. */
  readonly wantsAck?: (ack: Extract<PeerMessage, { kind: "prepare_ok" }>) => boolean;
  /** A peer's connection closed and its port refuses: within milliseconds of its death. */
  readonly onRefused: (peer: ReplicaIndex) => void;
  readonly onChange?: (peer: ReplicaIndex, connected: boolean) => void;
  readonly onLog?: (what: string, facts: LogFacts) => void;
}

/** A replica's links to its two peers, and the port where they dial it. */
export class PeerNetwork {
  private readonly options: PeerNetworkOptions;
  private readonly timing: LinkTiming;
  private readonly server: Server;
  private readonly links = new Map<ReplicaIndex, PeerLink>();
  private readonly members: MemberKeys;
  private keys: readonly OwnKey[];
  private readonly sockets = new Set<Socket>();

  /** Dials at once; accepts after {@link listen}. */
  constructor(options: PeerNetworkOptions) {
    this.options = options;
    this.keys = options.keys;
    this.timing =
      options.timing ?? completeTiming({ heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 });
    const { members, former = [] } = options;
    this.members = new MemberKeys(members, members, former);
    const tlsOptions = {
      ...listenOptions(this.firstKey.tls, this.timing.handshakeMs),
      SNICallback: this.expected,
    };
    this.server = createServer(tlsOptions, (socket) => this.onAccepted(socket));
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    this.server.on("tlsClientError", (error, socket) => {
      socket.destroy();
      this.log("peer_tls_failed", { why: error.message });
    });
    const scope = this.scope();
    options.addresses.forEach((address, index) => {
      const peer = replicaFrom(index);
      if (peer === options.self.replica) return;
      const { onMessage, onRefused } = options;
      const link = new PeerLink({
        ...address,
        scope,
        timing: this.timing,
        peer,
        onMessage,
        onRefused,
        wantsAck: (ack) => options.wantsAck?.(ack) ?? true,
        onChange: (replica, connected) => options.onChange?.(replica, connected),
      });
      this.links.set(peer, link);
    });
  }

  /** Binds the peer port; resolves with its number. Rejects when it is taken. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.options.listen.port, this.options.listen.host, resolve);
    });
    return (this.server.address() as AddressInfo).port;
  }

  /** Signs, frames and sends, or drops: a full queue and a lost connection both drop. */
  send(to: ReplicaIndex, message: PeerMessage): void {
    this.linkOf(to).send(message);
  }

  /** True while messages to that peer can be sent. */
  connected(peer: ReplicaIndex): boolean {
    return this.links.get(peer)?.connected === true;
  }

  /** What happened on the link to a peer. */
  counts(peer: ReplicaIndex): Readonly<PeerCounts> {
    return this.linkOf(peer).counts;
  }

  /**
   * New members, by the log and by what is executed of it: connections of a replaced incarnation
   * end, those under a former key are made anew.
   */
  setMembers(members: readonly Member[], committed: readonly Member[] = members): void {
    this.members.set(members, committed);
    for (const link of this.links.values()) link.onKeys();
  }

  /**
   * A rotated key, certificate or trust bundle, for every later connection. Open ones go on; those
   * under a former key until there is another.
   */
  setKeys(keys: readonly OwnKey[]): void {
    this.keys = keys;
    this.server.setSecureContext(listenOptions(this.firstKey.tls));
    for (const link of this.links.values()) link.onKeys();
  }

  /** Closes everything. */
  async close(): Promise<void> {
    for (const link of this.links.values()) link.close();
    if (!this.server.listening) return;
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }

  private onAccepted(socket: TLSSocket): void {
    socket.on("error", () => undefined);
    const identity = peerCertificateOf(socket)?.identity;
    const replica = identity?.role === "replica" ? identity.replica : null;
    const link = replica === null ? undefined : this.links.get(replica);
    const own = this.shownBy(socket);
    const dials = replica !== null && replica > this.options.self.replica;
    if (link !== undefined && dials && own !== null) {
      link.adopt(socket, own);
      return;
    }
    this.log("peer_refused_identity", { role: identity?.role ?? "none", replica });
    socket.destroy();
  }

  private linkOf(peer: ReplicaIndex): PeerLink {
    const link = this.links.get(peer);
    assert(link !== undefined, "TRN-02: a replica has no link to itself");
    return link;
  }

  private get firstKey(): OwnKey {
    const [first] = this.keys;
    assert(first !== undefined, "TRN-05: a replica has a key");
    return first;
  }

  /** A dialler that is behind expects the former key, and names it. */
  private readonly expected: TlsOptions["SNICallback"] = (name, done): void => {
    const own = this.keys.find(({ publicKey }) => keyName(publicKey) === name);
    if (own === undefined || own === this.firstKey) done(null);
    else done(null, createSecureContext(listenOptions(own.tls)));
  };

  /** The own key that a listener showed on a connection; null when it is held no more. */
  private shownBy(socket: TLSSocket): OwnKey | null {
    const certificate = socket.getX509Certificate();
    const shown = certificate === undefined ? null : publicKeyHex(certificate.publicKey);
    return this.keys.find(({ publicKey }) => publicKey === shown) ?? null;
  }

  private scope(): PeerScope {
    const { self, cluster, shard } = this.options;
    const { peerAliveMs, peerSilenceMs } = this.timing;
    return {
      self,
      cluster,
      shard,
      keys: () => this.keys,
      peerAliveMs,
      peerSilenceMs,
      frames: frameScopeFrom({ cluster, shard, hash: sha256 }),
      member: (replica) => this.members.member(replica),
      accepted: (replica, publicKey) => this.members.accepted(replica, publicKey),
      authorKeys: (...author) => this.members.authorKeys(...author),
      log: (what, facts) => this.log(what, facts),
    };
  }

  private log(what: string, facts: LogFacts): void {
    this.options.onLog?.(what, facts);
  }
}
