import { replicasCount } from "#replica/base/limits.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { claimName, marks, shardNames } from "#operator/desired/names.ts";
import { bootstrapSecretOf, keySecretOf } from "#operator/desired/shard-objects.ts";
import { orNone, orThrow } from "#operator/kube/answer.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { randomHex } from "#operator/pki/proof.ts";
import { type Context, keyOfShard, tell } from "./context.ts";
import { readObject } from "./observe-shard.ts";

/** Something that only a person can mend; goes into the Ready condition. */
export interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

/** How long a look at the Secrets is good, in milliseconds. */
const freshMs = 60_000;

/** Makes the shard's Secrets where there are none. A lost key of formed claims is never remade. */
export async function ensureSecrets(
  context: Context,
  shard: RoomShard,
): Promise<Obstacle | undefined> {
  const once = `${keyOfShard(shard)}/${shard.metadata.uid}`;
  const checkedMs = context.secretsCheckedMs.get(once) ?? Number.NEGATIVE_INFINITY;
  if (performance.now() - checkedMs < freshMs) return undefined;
  const namespace = shard.metadata.namespace ?? "default";
  const names = shardNames(shard.metadata.name, shard.spec.encryption?.keySecretName);
  const { client } = context;
  const bootstrap = await client.get(kinds.secret, namespace, names.bootstrap);
  if (orNone("read the bootstrap secret", bootstrap) === undefined) {
    const object = bootstrapSecretOf(shard, randomHex(32));
    orThrow("create the bootstrap secret", await client.create(kinds.secret, object));
  }
  const keys = await client.get(kinds.secret, namespace, names.keys);
  if (orNone("read the key secret", keys) === undefined) {
    const obstacle = await createKeys(context, shard, names.keys);
    if (obstacle !== undefined) return obstacle;
  }
  context.secretsCheckedMs.set(once, performance.now());
  return undefined;
}

async function createKeys(
  context: Context,
  shard: RoomShard,
  name: string,
): Promise<Obstacle | undefined> {
  const reason = "KeyMissing";
  if (shard.spec.encryption !== undefined) {
    return { reason, message: `Create Secret ${name} with 64 hex digits in its entry kek.` };
  }
  if (await hasFormedClaims(context, shard)) {
    const message = `Restore Secret ${name}: without it the data of this shard cannot be read.`;
    return { reason, message };
  }
  const made = await context.client.create(kinds.secret, keySecretOf(shard, randomHex(32)));
  orThrow("create the key secret", made);
  const note = `Created Secret ${name}. Keep a copy of it: the data cannot be read without.`;
  await tell(
    context,
    shard,
    { type: "Normal", reason: "KeyCreated", action: "CreateKey", note },
    "done",
  );
  return undefined;
}

async function hasFormedClaims(context: Context, shard: RoomShard): Promise<boolean> {
  const namespace = shard.metadata.namespace ?? "default";
  for (let replica = 0; replica < replicasCount; replica += 1) {
    const name = claimName(shard.metadata.name, replica);
    const claim = await readObject(context, kinds.claim, namespace, name, "live");
    if (claim?.metadata.annotations?.[marks.genesis] !== undefined) return true;
  }
  return false;
}
