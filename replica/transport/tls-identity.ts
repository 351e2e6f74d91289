import type { ReplicaIndex } from "#replica/base/brands.ts";
import { replicaFrom } from "#replica/base/brands.ts";

/** Who a certificate speaks for, as its one SAN URI names it. Never a host or an address. */
export type TlsIdentity =
  | {
      readonly role: "replica";
      readonly cluster: string;
      readonly shard: string;
      readonly replica: ReplicaIndex;
    }
  | { readonly role: "edge"; readonly cluster: string }
  | { readonly role: "operator"; readonly cluster: string };

const shardShape = "[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?";
const uriShape = new RegExp(
  `^tigerchat://([0-9a-f]{32})/(?:(${shardShape})/([0-2])|(edge|operator))$`,
);

/** The SAN URI of an identity. */
export function identityUri(identity: TlsIdentity): string {
  const start = `tigerchat://${identity.cluster}/`;
  if (identity.role !== "replica") return start + identity.role;
  return `${start}${identity.shard}/${identity.replica}`;
}

/** The identity of a SAN URI, or null when it is none of ours. */
export function identityFromUri(uri: string): TlsIdentity | null {
  const match = uriShape.exec(uri);
  const [, cluster, shard, replica, role] = match ?? [];
  if (cluster === undefined) return null;
  if (role === "edge" || role === "operator") return { role, cluster };
  if (shard === undefined) return null;
  return { role: "replica", cluster, shard, replica: replicaFrom(Number(replica)) };
}

/**
 * The identity of a certificate by Node's text of its SANs ("URI:a, DNS:b"). Null unless exactly
 * one URI stands there and it is ours: two identities in one certificate are none.
 */
export function identityFromAltName(altName: string | undefined): TlsIdentity | null {
  const names = (altName ?? "").split(", ").filter((name) => name.startsWith("URI:"));
  const [name] = names;
  if (name === undefined || names.length !== 1) return null;
  return identityFromUri(name.slice("URI:".length));
}
