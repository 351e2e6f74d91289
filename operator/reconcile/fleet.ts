import type { FleetPlace } from "#operator/desired/fleet-objects.ts";
import type { AdminCredentials } from "#operator/pki/admin-client.ts";
import type { Authority } from "#operator/pki/authority.ts";

/** A fleet as the operator knows it. */
export interface Fleet extends FleetPlace {
  /** Identity of the fleet, 32 hex digits; outlives all of its objects but the claims. */
  readonly cluster: string;
  readonly authority: Authority;
  /** With which the operator calls admin ports. */
  readonly credentials: AdminCredentials;
}
