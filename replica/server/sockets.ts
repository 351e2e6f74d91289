import type { AdminPeer } from "#replica/admin/admin-status.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import { assert } from "#replica/base/assert.ts";
import { type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";
import { completeTiming } from "#replica/base/timing.ts";
import type { Opened } from "#replica/storage/open-storage.ts";
import { type ClientConnection, ClientListener } from "#replica/transport/client-listener.ts";
import type { KnownMember } from "#replica/transport/member-keys.ts";
import { PeerNetwork } from "#replica/transport/peer-network.ts";
import type { OwnKey } from "#replica/transport/peer-scope.ts";
import type { TlsMaterial } from "#replica/transport/tls-options.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Member } from "#replica/wire/superblock.ts";
import type { Host } from "./host.ts";
import type { Log } from "./log.ts";
import type { Meters } from "./meters.ts";
import type { Opening } from "./opening.ts";
import type { VolumeKeys } from "./volume-keys.ts";

/** Between two looks at what an opening waits for, ms. */
const openingTickMs = 50; // A clock's grain: what is due is the opening's own times.

/** What a replica's sockets need. */
export interface SocketsOptions {
  readonly replica: ReplicaIndex;
  readonly config: ReplicaConfig;
  readonly keys: VolumeKeys;
  readonly tls: TlsMaterial;
  /** PEM of the trust bundle now. */
  readonly trust: () => string;
  /** Every member that is known to have been one. */
  readonly history: { readonly list: readonly KnownMember[] };
  readonly opened: Opened;
  readonly log: Log;
}

/** The peer port and the client port of a running replica. */
export class Sockets {
  private readonly options: SocketsOptions;
  private peersNetwork: PeerNetwork | null = null;
  private clients: ClientListener | null = null;
  /** Last known applied op of each peer, from its own frames. */
  private readonly peerCommits = new Map<ReplicaIndex, number>();
  /** Told of peers whose frames are refused. */
  refused: (peer: ReplicaIndex) => void = () => undefined;
  /** Told before the peer port opened, or since. */
  private membersNow: { members: readonly Member[]; committed: readonly Member[] } | null = null;
  private host: Host | null = null;
  /** Gets the peers' frames until there is a host. */
  private opening: Opening | null = null;
  private openingTimer: NodeJS.Timeout | null = null;
  private readonly connections = new Map<number, ClientConnection>();
  private connectionNext = 1;

  /** Nothing is bound or dialled before {@link open}. */
  constructor(options: SocketsOptions) {
    this.options = options;
  }

  /** The peer port before there is a host: what is damaged here is fetched from the peers. */
  async openPeers(opening: Opening): Promise<void> {
    this.opening = opening;
    this.peersNetwork = this.makePeers();
    this.openingTimer = setInterval(() => {
      if (performance.now() >= opening.deadlineMs) opening.onTimer();
    }, openingTickMs);
    await this.peersNetwork.listen();
  }

  /** There is a host, or there never will be. */
  opened(): void {
    if (this.openingTimer !== null) clearInterval(this.openingTimer);
    this.openingTimer = null;
  }

  /** Binds both ports, dials the peers; the host gets frames. Rejects on a taken port. */
  async open(host: Host): Promise<void> {
    const { config, replica, tls, log } = this.options;
    const own = config.peers[replica];
    assert(own !== undefined, "SRV-07: three peers");
    this.host = host;
    this.opening = null;
    this.clients = new ClientListener({
      cluster: config.cluster,
      shard: config.shard,
      listen: { host: config.listen.host, port: own.clientPort },
      tls,
      timing: completeTiming(config.timing),
      onMessage: (connection, message) => this.onClient(host, connection, message),
      onClosed: (connection) => {
        const number = this.numberOf(connection);
        this.connections.delete(number);
        host.onClientGone(number);
      },
      onLog: (what, facts) => log.debug(what, facts),
    });
    await this.clients.listen();
    if (this.peersNetwork !== null) return;
    this.peersNetwork = this.makePeers();
    await this.peersNetwork.listen();
  }

  /** Port of the host: a frame to a peer. */
  readonly send = (to: ReplicaIndex, message: PeerMessage): void => {
    this.peersNetwork?.send(to, message);
  };

  /** Port of the host: a frame to a client. */
  readonly toClient = (connection: number, message: ServerMessage): void => {
    this.connections.get(connection)?.send(message);
  };

  /** Whose frames count from now on. */
  readonly setMembers = (members: readonly Member[], committed: readonly Member[]): void => {
    this.membersNow = { members, committed };
    this.peersNetwork?.setMembers(members, committed);
  };

  /** True while frames to that peer can be sent. */
  peerConnected(peer: ReplicaIndex): boolean {
    return this.peersNetwork?.connected(peer) === true;
  }

  /** How the peers look from here, for the admin port. */
  peers(): readonly AdminPeer[] {
    const commitMax = this.host?.replica.commitMax ?? 0;
    return [0, 1, 2].map(replicaFrom).flatMap((replica) => {
      if (replica === this.options.replica) return [];
      const commit = this.peerCommits.get(replica);
      const lagOps = commit === undefined ? null : Math.max(0, commitMax - commit);
      return [{ replica, connected: this.peerConnected(replica), lagOps }];
    });
  }

  /** A rotated identity or trust bundle, for every later connection; `keys`: between replicas. */
  setTls(tls: TlsMaterial, keys: readonly OwnKey[]): void {
    this.peersNetwork?.setKeys(keys);
    this.clients?.setTls(tls);
  }

  /** Counters of the transport, once a scrape. */
  setMetrics(meters: Meters): void {
    let connected = 0;
    let [signed, verified] = [0, 0];
    const drops = new Map<string, number>();
    const add = (reason: string, count: number): void => {
      drops.set(reason, (drops.get(reason) ?? 0) + count);
    };
    for (const { replica } of this.peers()) {
      const peer = replicaFrom(replica);
      const counts = this.peersNetwork?.counts(peer);
      if (this.peerConnected(peer)) connected += 1;
      if (counts === undefined) continue;
      signed += counts.framesSent;
      verified += counts.framesReceived - counts.acksSkipped;
      add("peer_down", counts.droppedDown);
      add("peer_queue_full", counts.droppedFull);
      add("identity", counts.refusedIdentity);
      add("signature", counts.refusedSignature);
      add("replay", counts.refusedReplay);
      add("stale", counts.refusedStale);
      add("frame", counts.refusedFrame);
    }
    add("client_slow", this.clients?.counts.closedSlow ?? 0);
    add("client_identity", this.clients?.counts.refusedIdentity ?? 0);
    add("client_frame", this.clients?.counts.refusedFrame ?? 0);
    for (const [reason, count] of drops) meters.set("replicaDrops", count, { reason });
    meters.set("replicaSignatures", signed, { kind: "sign" });
    meters.set("replicaSignatures", verified, { kind: "verify" });
    meters.set("replicaConnections", connected, { kind: "peer" });
  }

  /** Closes everything. */
  close(): void {
    this.clients?.close().catch((error: unknown) => {
      this.options.log.warn("client port did not close", { error: String(error) });
    });
    this.peersNetwork?.close().catch((error: unknown) => {
      this.options.log.warn("peer port did not close", { error: String(error) });
    });
  }

  private onClient(host: Host, connection: ClientConnection, message: ClientMessage): void {
    const number = this.numberOf(connection);
    if (message.kind === "hello") this.connections.set(number, connection);
    if (!host.onClientMessage(number, message)) connection.close();
  }

  /** Connections are numbers to the host, which knows no sockets. */
  private numberOf(connection: ClientConnection): number {
    if (typeof connection.tag === "number") return connection.tag;
    const number = this.connectionNext;
    this.connectionNext += 1;
    connection.tag = number;
    return number;
  }

  private makePeers(): PeerNetwork {
    const { config, replica, keys, trust, history, opened, log } = this.options;
    const { identity, members } = opened.recovered.superblock;
    const [a, b, c] = config.peers.map((peer) => ({ host: peer.host, port: peer.peerPort }));
    const port = config.peers[replica]?.peerPort;
    assert(a !== undefined && b !== undefined && c !== undefined, "SRV-07: three peers");
    assert(port !== undefined, "SRV-07: three peers");
    const network = new PeerNetwork({
      self: { replica, incarnation: identity.incarnation },
      cluster: config.cluster,
      shard: config.shard,
      addresses: [a, b, c],
      timing: completeTiming(config.timing),
      listen: { host: config.listen.host, port },
      members,
      former: history.list,
      keys: keys.ownKeys(trust()),
      onMessage: (message) => {
        this.noteCommit(message);
        (this.host ?? this.opening)?.onPeerMessage(message);
      },
      wantsAck: (ack) => this.host?.replica.wantsAck(ack) === true,
      onRefused: (peer) => {
        this.host?.onPeerRefused(peer);
        this.refused(peer);
      },
      onChange: (peer, connected) => log.info("peer", { peer, connected }),
      onLog: (what, facts) => log.info(what, facts),
    });
    const { membersNow } = this;
    if (membersNow !== null) network.setMembers(membersNow.members, membersNow.committed);
    return network;
  }

  private noteCommit(message: PeerMessage): void {
    switch (message.kind) {
      case "prepare_ok":
      case "ping":
      case "pong":
        this.peerCommits.set(message.from, message.commitMin);
        return;
      case "commit":
        this.peerCommits.set(message.from, message.commitMax);
        return;
      default:
    }
  }
}
