import type { ReplicaIndex, View } from "#replica/base/brands.ts";
import { replicaFrom, viewFrom } from "#replica/base/brands.ts";

/** What a replica last said of itself on its present connection. */
interface Claim {
  connected: boolean;
  view: View | null;
  normal: boolean;
  /** It refused a request since it said so. */
  refused: boolean;
}

const silent: Claim = { connected: false, view: null, normal: false, refused: false };

/**
 * Finds a shard's primary from what its replicas say in `view` frames. Never asks anybody else.
 * A wrong guess costs a retry, never safety: only a primary with a quorum can commit.
 */
export class PrimaryFinder {
  private claims: [Claim, Claim, Claim] = [{ ...silent }, { ...silent }, { ...silent }];

  /** Highest view that any replica is or was normal in, as far as seen. */
  view: View = viewFrom(0);

  /** The replica that leads {@link view} by its own word on an open connection, or null. */
  get primary(): ReplicaIndex | null {
    const replica = replicaFrom(this.view % 3);
    const claim = this.claims[replica] ?? silent;
    const leads = claim.connected && claim.normal && claim.view === this.view;
    return leads && !claim.refused ? replica : null;
  }

  /** Connected replicas by index. */
  get connected(): readonly [boolean, boolean, boolean] {
    const [a, b, c] = this.claims;
    return [a.connected, b.connected, c.connected];
  }

  /** The primary, else a connected replica that is normal, else null: where a read may go. */
  get readable(): ReplicaIndex | null {
    const found = this.claims.findIndex((claim) => claim.connected && claim.normal);
    return this.primary ?? (found < 0 ? null : replicaFrom(found));
  }

  /** A connection opened or closed; what was said on the last one is forgotten. */
  setConnected(replica: ReplicaIndex, connected: boolean): void {
    this.claims[replica] = { ...silent, connected };
  }

  /** A `view` frame. */
  onView(replica: ReplicaIndex, view: View, normal: boolean): void {
    this.claims[replica] = { connected: true, view, normal, refused: false };
    if (normal && view > this.view) this.view = view;
  }

  /** A replica refused a request as not the primary: do not ask it before its next word. */
  onNotPrimary(replica: ReplicaIndex): void {
    this.claims[replica] = { ...(this.claims[replica] ?? silent), refused: true };
  }

  /**
   * Refusals count no longer: a primary that forms, catches up or gives up a transfer refuses for a
   * moment, and has nothing new to say of its view afterwards.
   */
  forgive(): void {
    for (const claim of this.claims) claim.refused = false;
  }
}
