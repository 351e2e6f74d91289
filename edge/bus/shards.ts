import { RoutingTable } from "#edge/routing/routing-table.ts";
import type { RoutingFault, RoutingShard } from "#edge/routing/routing-table.ts";
import { fail } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import type { ClientId } from "#replica/base/brands.ts";
import { ShardLink } from "#replica/transport/shard-link.ts";
import type {
  ShardLinkOptions,
  ShardLinkPort,
  TlsMaterial,
} from "#replica/transport/shard-link.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { ShardPoster } from "./shard-poster.ts";

/** Events of all links; the shard's name comes first. */
export interface ShardsEvents {
  readonly onEntries: NonNullable<ShardLinkOptions["onEntries"]>;
  readonly onWatched: NonNullable<ShardLinkOptions["onWatched"]>;
  readonly onMoved: NonNullable<ShardLinkOptions["onMoved"]>;
  /** How long the oldest post of a batch took, milliseconds. */
  readonly onPosted: (ms: number) => void;
  readonly onLog: (shard: string, what: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** One shard as this edge sees it. */
export interface ShardPort {
  readonly name: string;
  readonly link: ShardLinkPort;
  readonly poster: ShardPoster;
}

/** How links are made; a test may give one of its own. */
export type LinkFactory = (options: ShardLinkOptions) => ShardLinkPort;

/** Links to all shards of the routing table, and which room is where. */
export class Shards {
  private readonly clientId: ClientId;
  private readonly events: ShardsEvents;
  private readonly makeLink: LinkFactory;
  private tls: TlsMaterial;
  private table: RoutingTable;
  private readonly ports = new Map<string, ShardPort & { readonly addresses: string }>();
  private closed = false;

  /** Dials every shard of the table at once. */
  constructor(
    table: RoutingTable,
    tls: TlsMaterial,
    options: {
      readonly clientId: ClientId;
      readonly events: ShardsEvents;
      readonly makeLink?: LinkFactory;
    },
  ) {
    this.clientId = options.clientId;
    this.events = options.events;
    this.makeLink = options.makeLink ?? ((made) => new ShardLink(made));
    this.tls = tls;
    this.table = table;
    this.dial();
  }

  /** Takes a routing file that was read again; refuses stale ones and those of other clusters. */
  reroute(text: string): Result<RoutingTable, RoutingFault> {
    const parsed = RoutingTable.parse(text);
    const next = parsed.ok ? this.table.succeed(parsed.value) : fail(parsed.reason);
    if (next.ok) {
      this.table = next.value;
      this.dial();
    }
    return next;
  }

  /** A rotated identity or trust bundle, for all later connections. */
  setTls(tls: TlsMaterial): void {
    this.tls = tls;
    for (const { link } of this.ports.values()) link.setTls(tls);
  }

  /** The shard of a room, or null when nobody owns its slot. */
  of(name: RoomName): ShardPort | null {
    const shard = this.table.shardOf(name.tenant, name.room);
    return shard === null ? null : (this.ports.get(shard) ?? null);
  }

  /** The audit room of a shard, or null when there is no such shard. */
  auditRoomOf(shard: string): RoomName | null {
    return this.ports.has(shard) ? this.table.auditRoomOf(shard) : null;
  }

  /** True when a log of this origin is that of the shard that has the room; whatever its epoch. */
  holdsLog(name: RoomName, origin: string): boolean {
    const shard = this.of(name);
    const { cluster } = this.table.file;
    return shard !== null && origin.startsWith(`tigerchat.dev/${cluster}/${shard.name}/`);
  }

  /** All shards. */
  all(): readonly ShardPort[] {
    return [...this.ports.values()];
  }

  /** Epoch of the routing table in use. */
  get epoch(): number {
    return this.table.file.epoch;
  }

  /** True when every shard of the table has a primary that we know and reach. */
  get ready(): boolean {
    const ports = this.all();
    return ports.length > 0 && ports.every(({ link }) => link.view.primary !== null);
  }

  /** Ends all links: what is in flight becomes unknown. */
  close(): void {
    this.closed = true;
    for (const { link } of this.ports.values()) link.close();
  }

  private dial(): void {
    const wanted = new Map(this.table.file.shards.map((shard) => [shard.name, shard]));
    for (const [name, port] of this.ports) {
      const shard = wanted.get(name);
      if (shard !== undefined && JSON.stringify(shard.addresses) === port.addresses) continue;
      port.link.close();
      this.ports.delete(name);
    }
    for (const shard of wanted.values()) {
      if (!this.ports.has(shard.name) && !this.closed) this.add(shard);
    }
  }

  private add({ name, addresses }: RoutingShard): void {
    const { onEntries, onWatched, onMoved, onLog, onPosted } = this.events;
    const link = this.makeLink({
      clientId: this.clientId,
      shard: { name, cluster: this.table.file.cluster, addresses },
      tls: this.tls,
      onEntries,
      onWatched,
      onMoved,
      onLog: (what, facts) => onLog(name, what, facts),
    });
    const poster = new ShardPoster(link, onPosted);
    this.ports.set(name, { name, link, poster, addresses: JSON.stringify(addresses) });
  }
}
