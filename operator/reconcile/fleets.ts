import {
  authoritySecretOf,
  edgeSecretOf,
  type FleetPlace,
  trustMapOf,
} from "#operator/desired/fleet-objects.ts";
import { fleetNames, marks } from "#operator/desired/names.ts";
import type { OwnerReference } from "#operator/desired/owner.ts";
import { orNone, orThrow } from "#operator/kube/answer.ts";
import type { KubeClient } from "#operator/kube/kube-client.ts";
import type { Kind, KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { Authority, createAuthority, renewBeforeMs } from "#operator/pki/authority.ts";
import { createEdgeSecret } from "#operator/pki/edge-secret.ts";
import { certificateFacts, edgeUri, isSignedBy, operatorUri } from "#operator/pki/identity.ts";
import { randomHex } from "#operator/pki/proof.ts";
import type { Fleet } from "./fleet.ts";
import { addOwner } from "./add-owner.ts";
import { genesisRecordFrom } from "./genesis-record.ts";
import { readRouting } from "./routing-store.ts";

interface SecretObject extends KubeObject {
  readonly data?: { readonly [name: string]: string };
}

const freshMs = 60_000;

/** The fleets' CAs, trust bundles and edge Secrets; made for the first shard of a fleet. */
export class Fleets {
  private readonly client: KubeClient;
  private readonly known = new Map<string, { readonly fleet: Fleet; readonly readMs: number }>();

  constructor(client: KubeClient) {
    this.client = client;
  }

  /** A fleet with its objects in place, shared by one more owner: a shard or the operator. */
  async ensure(place: FleetPlace, owner: OwnerReference): Promise<Fleet> {
    const key = `${place.namespace}/${place.fleet}/${owner.uid}`;
    const known = this.known.get(key);
    if (known !== undefined && performance.now() - known.readMs < freshMs) return known.fleet;
    const fleet = await this.read(place, owner, known?.fleet);
    await this.ensureTrust(fleet, owner);
    await this.ensureEdge(fleet, owner);
    await readRouting(this.client, fleet, owner);
    this.known.set(key, { fleet, readMs: performance.now() });
    return fleet;
  }

  private async read(
    place: FleetPlace,
    owner: OwnerReference,
    known: Fleet | undefined,
  ): Promise<Fleet> {
    const name = fleetNames(place.fleet).authority;
    let secret = orNone("read the CA", await this.client.get(kinds.secret, place.namespace, name));
    if (secret === undefined) {
      const cluster = (await this.clusterOfClaims(place)) ?? randomHex(16);
      const files = await createAuthority(cluster, Date.now());
      const object = authoritySecretOf(place, [owner], { cluster, ...files });
      secret = orThrow("create the CA", await this.client.create(kinds.secret, object));
    }
    await addOwner(this.client, kinds.secret, secret, owner);
    const cluster = entry(secret, "cluster");
    const certificate = entry(secret, "ca.crt");
    if (known?.cluster === cluster && known.authority.certificatePem === certificate) {
      if (!isWorn(known.credentials.cert, certificate)) return known;
    }
    const opened = await Authority.open({ certificate, key: entry(secret, "ca.key") });
    if (!opened.ok) throw new Error(`Secret ${name} holds no usable CA; restore or delete it.`);
    const own = await opened.value.issue(operatorUri(cluster), Date.now());
    const credentials = { cert: own.certificate, key: own.key, ca: certificate };
    return { ...place, cluster, authority: opened.value, credentials };
  }

  /** The identity of a fleet outlives its objects: the claims that were formed in it tell. */
  private async clusterOfClaims(place: FleetPlace): Promise<string | undefined> {
    const labelSelector = `${marks.fleet}=${place.fleet}`;
    const claims = await this.client.list(kinds.claim, place.namespace, { labelSelector });
    for (const { metadata } of orThrow("list the claims", claims).items) {
      const record = genesisRecordFrom(metadata.annotations?.[marks.genesis]);
      if (record !== null) return record.cluster;
    }
    return undefined;
  }

  private async ensureTrust(fleet: Fleet, owner: OwnerReference): Promise<void> {
    const bundle = fleet.authority.certificatePem;
    const object = trustMapOf(fleet, [owner], { cluster: fleet.cluster, bundle });
    const stored = await this.createOrRead(kinds.configMap, object);
    await addOwner(this.client, kinds.configMap, stored, owner);
    if ((stored as SecretObject).data?.["ca.crt"] === bundle) return;
    const { namespace, fleet: name } = fleet;
    const { data } = object;
    orThrow(
      "write the trust bundle",
      await this.client.mergePatch(kinds.configMap, namespace, fleetNames(name).trust, { data }),
    );
  }

  private async ensureEdge(fleet: Fleet, owner: OwnerReference): Promise<void> {
    const name = fleetNames(fleet.fleet).edge;
    const { namespace, authority, cluster } = fleet;
    const stored = orNone(
      "read the edge's secret",
      await this.client.get<SecretObject>(kinds.secret, namespace, name),
    );
    if (stored === undefined) {
      const entries = await createEdgeSecret(authority, cluster, Date.now());
      const object = edgeSecretOf(fleet, [owner], { ...entries });
      orThrow("create the edge's secret", await this.client.create(kinds.secret, object));
      return;
    }
    await addOwner(this.client, kinds.secret, stored, owner);
    if (!isWorn(entry(stored, "tls.crt"), authority.certificatePem)) return;
    const tls = await authority.issue(edgeUri(cluster), Date.now());
    const stringData = { "tls.crt": tls.certificate, "tls.key": tls.key };
    orThrow(
      "renew the edge's certificate",
      await this.client.mergePatch(kinds.secret, namespace, name, { stringData }),
    );
  }

  private async createOrRead(kind: Kind, object: KubeObject): Promise<KubeObject> {
    const { namespace = "", name } = object.metadata;
    const what = `${kind.kind} ${name}`;
    const found = orNone(what, await this.client.get(kind, namespace, name));
    return found ?? orThrow(what, await this.client.create(kind, object));
  }
}

function entry(secret: SecretObject, name: string): string {
  return Buffer.from(secret.data?.[name] ?? "", "base64").toString("utf8");
}

/** True when a certificate should be replaced: unreadable, another CA's, or near its end. */
function isWorn(certificate: string, authority: string): boolean {
  const facts = certificateFacts(certificate);
  if (!facts.ok || !isSignedBy(certificate, authority)) return true;
  return facts.value.notAfterMs - Date.now() < renewBeforeMs;
}
