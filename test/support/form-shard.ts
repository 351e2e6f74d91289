import type { GenesisMember } from "#replica/admin/admin-calls.ts";
import type { AdminClient, AdminOutcome } from "#operator/pki/admin-client.ts";
import type { Authority } from "#operator/pki/authority.ts";
import { certifyReplica } from "#operator/pki/formation.ts";
import { randomHex } from "#operator/pki/proof.ts";

/** What forming a shard takes: what the operator knows when it does the same. */
export interface FormOptions {
  readonly authority: Authority;
  readonly cluster: string;
  readonly shard: string;
  /** 64 hex digits. */
  readonly bootstrap: string;
  readonly admins: readonly AdminClient[];
  readonly slots: { readonly first: number; readonly count: number; readonly epoch: number };
}

/** Milliseconds until a replica's admin port must answer. */
const answerMs = 15_000;

function expectOk<T>(outcome: AdminOutcome<T>): T {
  if (outcome.kind === "ok") return outcome.value;
  throw new Error(outcome.kind === "refused" ? outcome.detail : outcome.why);
}

async function patiently<T>(call: () => Promise<AdminOutcome<T>>): Promise<T> {
  const untilMs = performance.now() + answerMs;
  for (;;) {
    const outcome = await call();
    if (outcome.kind !== "unreachable" || performance.now() > untilMs) return expectOk(outcome);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** Certifies the key of a replica, for the first time or anew. */
export async function certify(
  options: Omit<FormOptions, "slots">,
  replica: number,
): Promise<GenesisMember> {
  const { authority, bootstrap, cluster, shard } = options;
  const admin = options.admins[replica];
  if (admin === undefined) throw new Error(`no admin client for replica ${replica}`);
  const object = async () => null;
  const nowMs = Date.now();
  const certified = await patiently(async () => {
    const done = await certifyReplica({
      ...{ admin, authority, bootstrap, cluster, shard, replica, nowMs, object },
    });
    if (done.kind === "certified") return { kind: "ok", value: done.member };
    if (done.kind === "unreachable") return done;
    return { kind: "refused", code: "certificate", detail: `replica ${replica}: ${done.why}` };
  });
  return certified;
}

/** Certifies three unformatted replicas and gives them genesis, as the operator does. */
export async function formShard(options: FormOptions): Promise<string> {
  const members = await Promise.all([0, 1, 2].map((replica) => certify(options, replica)));
  const formationId = randomHex(32);
  const genesis = { formationId, members, slots: options.slots };
  const admins = options.admins;
  await Promise.all(admins.map((admin) => patiently(() => admin.genesis(genesis))));
  return formationId;
}
