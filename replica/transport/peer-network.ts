import type { AddressInfo, Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { assert } from "#replica/base/assert.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import type { Incarnation, ReplicaIndex } from "#replica/base/brands.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import { publicKeyFrom } from "#replica/crypto/ed25519.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { type DialTiming, PeerLink } from "./peer-link.ts";
import type { Key, LogFacts, PeerCounts, PeerMember, PeerScope } from "./peer-scope.ts";
import { listenOptions, peerCertificateOf, type TlsMaterial } from "./tls-options.ts";

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
  readonly tls: TlsMaterial;
  /** Ed25519 key of the volume: signs frames. */
  readonly privateKey: Key;
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
  private members = new Map<ReplicaIndex, PeerMember>();
  private tls: TlsMaterial;
  private readonly sockets = new Set<Socket>();

  /** Dials at once; accepts after {@link listen}. */
  constructor(options: PeerNetworkOptions) {
    this.options = options;
    this.tls = options.tls;
    this.timing =
      options.timing ?? completeTiming({ heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 });
    this.readMembers(options.members);
    const tlsOptions = listenOptions(options.tls, this.timing.handshakeMs);
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
        tls: () => this.tls,
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

  /** New members (a REPLACE was committed): connections of a replaced incarnation end. */
  setMembers(members: readonly Member[]): void {
    this.readMembers(members);
    for (const link of this.links.values()) link.onMembers();
  }

  /** A rotated certificate or trust bundle, for every later connection; open ones go on. */
  setTls(tls: TlsMaterial): void {
    this.tls = tls;
    this.server.setSecureContext(listenOptions(tls));
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
    if (link !== undefined && replica !== null && replica > this.options.self.replica) {
      link.adopt(socket);
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

  private readMembers(members: readonly Member[]): void {
    const read = new Map<ReplicaIndex, PeerMember>();
    for (const member of members) {
      const key = publicKeyFrom(member.publicKey);
      assert(key !== null, "TRN-03: a member's public key is Ed25519");
      read.set(member.replica, { ...member, key });
    }
    this.members = read;
  }

  private scope(): PeerScope {
    const { self, cluster, shard, privateKey } = this.options;
    const { peerAliveMs, peerSilenceMs } = this.timing;
    return {
      self,
      cluster,
      shard,
      privateKey,
      peerAliveMs,
      peerSilenceMs,
      frames: frameScopeFrom({ cluster, shard, hash: sha256 }),
      member: (replica) => this.members.get(replica) ?? null,
      log: (what, facts) => this.log(what, facts),
    };
  }

  private log(what: string, facts: LogFacts): void {
    this.options.onLog?.(what, facts);
  }
}
