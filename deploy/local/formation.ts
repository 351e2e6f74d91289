import type { GenesisMember } from "#replica/admin/admin-calls.ts";
import type { AdminStatus } from "#replica/admin/admin-status.ts";
import { AdminClient, type AdminOutcome } from "#operator/pki/admin-client.ts";
import { replicaUri } from "#operator/pki/identity.ts";
import { certifyReplica } from "#operator/pki/formation.ts";
import { replaceMember } from "#operator/pki/replace-member.ts";
import { rotateKey } from "#operator/pki/rotate-key.ts";
import { upgradeMachine } from "#operator/pki/upgrade-machine.ts";
import { randomHex } from "#operator/pki/proof.ts";
import { readFileSync } from "node:fs";
import type { FleetIdentity, ShardPlan } from "./fleet-files.ts";
import { slotsOf } from "./fleet-files.ts";
import { unmarkWhenVoting } from "./learning-mark.ts";
import { Refusal } from "./refusal.ts";

const pollMs = 25;

/** Milliseconds that a shard may take from its processes' start to a serving primary. */
const formationLimitMs = 60_000;

/** A shard whose processes were started. */
export interface StartedShard extends ShardPlan {
  /** By replica: file with the last sentence of a process that gave up. */
  readonly lastWords: readonly string[];
  /** By replica: file that is there until a new volume was seen to vote. */
  readonly learning: readonly string[];
  /** Replica whose lost volume was set aside for a new one; null = none. */
  readonly replaced: number | null;
  /** Replica whose own key is changed on its volume; null = none. */
  readonly rotated: number | null;
}

/** Milliseconds that the replacement of a volume may take. */
const replacementLimitMs = 20_000;
/** Milliseconds that the start waits for a new volume's vote. */
const learningLimitMs = 10_000;
/** Milliseconds that the change of a replica's key may take. */
const rotationLimitMs = 30_000;
/** Milliseconds in which all three must answer and the upgrade be committed. */
const upgradeLimitMs = 60_000;

interface Volume {
  readonly client: AdminClient;
  readonly status: AdminStatus;
  readonly member: GenesisMember;
}

/**
 * Brings one shard into service: certifies the key of each volume, performs the genesis if all
 * three are unformatted, and waits for a primary with two voters. Two formatted volumes suffice; a
 * third that is missing or damaged is a warning, and is never formatted anew. Returns warnings.
 */
export async function formShard(
  cluster: string,
  plan: StartedShard,
  identity: FleetIdentity,
  nowMs: number,
): Promise<readonly string[]> {
  const deadlineMs = performance.now() + formationLimitMs;
  const shard = plan.manifest.metadata.name;
  const tried = await Promise.all(
    plan.places.map((_, replica) =>
      certifyVolume({ cluster, plan, identity, nowMs, replica, deadlineMs }).catch(refusalOf),
    ),
  );
  const volumes = tried.flatMap((one) => (one instanceof Refusal ? [] : [one]));
  const refused = tried.flatMap((one) => (one instanceof Refusal ? [one.message] : []));
  for (const { client, status } of volumes) {
    const mark = plan.learning[status.replica] ?? "";
    void unmarkWhenVoting(mark, client);
  }
  const formatted = volumes.filter((volume) => volume.status.state !== "unformatted");
  const missing = volumes
    .filter((volume) => volume.status.state === "unformatted")
    .map((volume) => `The data of ${shard}-${volume.status.replica} is missing.`);
  if (missing.length === plan.places.length) {
    await performGenesis(plan, volumes, deadlineMs);
    await waitForPrimary(shard, volumes, plan.lastWords, deadlineMs);
    upgradeLater(volumes);
    return [];
  }
  const empty = volumes.find(({ status: { replica, state } }) => {
    return state === "unformatted" && replica === plan.replaced;
  });
  if (formatted.length === 2 && empty !== undefined) {
    await waitForPrimary(shard, formatted, plan.lastWords, deadlineMs);
    await replaceVolume(shard, volumes, empty);
    return waitForVote(shard, empty);
  }
  const faults = [...refused, ...missing];
  if (formatted.length < 2) {
    throw new Refusal(`${faults.join(" ")} Restore the data of ${shard} from a backup.`);
  }
  await waitForPrimary(shard, formatted, plan.lastWords, deadlineMs);
  if (faults.length === 0) {
    const rotated = await rotateKeys(cluster, plan, volumes, identity, nowMs);
    upgradeLater(volumes);
    return rotated;
  }
  return faults.map(
    (fault) => `${fault} ${shard} runs on two replicas; ${remedyOf(volumes, formatted)}.`,
  );
}

/**
 * The shard goes to the newest version of the machine that its processes know, beside all else:
 * it serves meanwhile, and when this comes to nothing the next start tries again.
 */
function upgradeLater(volumes: readonly Volume[]): void {
  const admins = volumes.map((volume) => volume.client);
  void upgradeMachine({ admins, limitMs: upgradeLimitMs });
}

/** A copy of a volume has lost what came after it, so nothing is restored: it is replaced. */
function remedyOf(volumes: readonly Volume[], formatted: readonly Volume[]): string {
  const empty = volumes.find((volume) => !formatted.includes(volume));
  const name = empty === undefined ? "NAME" : `${empty.status.shard}-${empty.status.replica}`;
  return `give the third a new volume: npm start -- --replace ${name}`;
}

async function replaceVolume(
  shard: string,
  volumes: readonly Volume[],
  empty: Volume,
): Promise<void> {
  const { member } = empty;
  const admins = volumes.map((volume) => volume.client);
  const done = await replaceMember({ admins, member, limitMs: replacementLimitMs });
  if (done.kind === "refused") {
    throw new Refusal(`${shard}-${member.replica} cannot be replaced: ${done.why}`);
  }
}

/**
 * Waits until a new volume votes: were another one replaced before, one voter would be left and the
 * shard could not start. A large history takes longer; then a warning says what to wait for.
 */
async function waitForVote(shard: string, { client, member }: Volume): Promise<readonly string[]> {
  const untilMs = performance.now() + learningLimitMs;
  do {
    const outcome = await client.status();
    if (outcome.kind === "ok" && outcome.value.state === "normal" && outcome.value.voting)
      return [];
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  } while (performance.now() < untilMs);
  const metric = "tigerchat_replica_voting";
  const name = `${shard}-${member.replica}`;
  return [`${name} still fetches its data. Replace no other replica before its ${metric} is 1.`];
}

/**
 * Changes the own key of the replica that was named, and finishes changes that an earlier run left
 * half done. Returns warnings of the latter: the shard serves under either key.
 */
async function rotateKeys(
  cluster: string,
  plan: StartedShard,
  volumes: readonly Volume[],
  { authority }: FleetIdentity,
  nowMs: number,
): Promise<readonly string[]> {
  const admins = volumes.map((volume) => volume.client);
  const shard = plan.manifest.metadata.name;
  const { bootstrap } = plan;
  const warnings: string[] = [];
  for (const [replica, admin] of admins.entries()) {
    const status = await admin.status();
    const begun = status.kind === "ok" && status.value.nextKey !== undefined;
    if (replica !== plan.rotated && !begun) continue;
    const facts = { admins, authority, bootstrap, cluster, shard, replica, nowMs };
    const outcome = await rotateKey({ ...facts, limitMs: rotationLimitMs });
    if (outcome.kind === "rotated") continue;
    const what = `The key of ${shard}-${replica} is not changed yet: ${outcome.why}`;
    if (replica === plan.rotated) throw new Refusal(what);
    warnings.push(`${what} The next start goes on with it.`);
  }
  return warnings;
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  throw error;
}

async function certifyVolume(facts: {
  readonly cluster: string;
  readonly plan: StartedShard;
  readonly identity: FleetIdentity;
  readonly nowMs: number;
  readonly replica: number;
  readonly deadlineMs: number;
}): Promise<Volume> {
  const { cluster, plan, identity, replica } = facts;
  const shard = plan.manifest.metadata.name;
  const uri = replicaUri(cluster, shard, replica);
  const place = plan.places[replica];
  const target = { host: place?.host ?? "", port: place?.adminPort ?? 0, identity: uri };
  const client = new AdminClient(target, identity.operator);
  const name = `${shard}-${replica}`;
  const ask = () => client.statusUnproven();
  const status = await untilReachable(name, plan.lastWords[replica] ?? "", ask, facts.deadlineMs);
  const certified = await certifyReplica({
    admin: client,
    authority: identity.authority,
    bootstrap: plan.bootstrap,
    cluster,
    shard,
    replica,
    nowMs: facts.nowMs,
    // The process was started here, on loopback: nothing else can answer for it.
    object: async () => null,
  });
  if (certified.kind === "certified") return { client, status, member: certified.member };
  throw new Refusal(`${name} cannot be certified: ${certified.why}`);
}

async function performGenesis(
  plan: ShardPlan,
  volumes: readonly Volume[],
  deadlineMs: number,
): Promise<void> {
  const body = {
    formationId: randomHex(32),
    members: volumes.map((volume) => volume.member),
    slots: { ...slotsOf(plan.manifest), epoch: 1 },
  };
  const done = volumes.map(async ({ client, status }) => {
    // A slow disk formats for longer than a call lasts; asking again is harmless.
    let outcome = await client.genesis(body);
    while (outcome.kind === "unreachable" && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      outcome = await client.genesis(body);
    }
    require(`${status.shard}-${status.replica}`, outcome);
  });
  await Promise.all(done);
}

async function waitForPrimary(
  shard: string,
  volumes: readonly Volume[],
  lastWordsFiles: readonly string[],
  deadlineMs: number,
): Promise<void> {
  let last = "";
  while (performance.now() < deadlineMs) {
    const lastWords = lastWordsFiles.map(textOf).filter((words) => words !== "");
    if (lastWords.length >= 2) {
      throw new Refusal(`Two replicas of ${shard} do not start: ${lastWords.join(" ")}`);
    }
    const answers = await Promise.all(volumes.map((volume) => volume.client.status()));
    const statuses = answers.flatMap((answer) => (answer.kind === "ok" ? [answer.value] : []));
    const serving = statuses.filter((status) => status.state === "normal" && status.voting);
    const leads = serving.some((status) => status.primary === status.replica);
    if (leads && serving.length >= 2) return;
    last = answers.map(describe).join("; ");
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  throw new Refusal(`Shard ${shard} has no primary after ${formationLimitMs / 1000} s: ${last}.`);
}

function describe(outcome: AdminOutcome<AdminStatus>): string {
  switch (outcome.kind) {
    case "ok": {
      const { replica, state, message } = outcome.value;
      return `${replica} is ${state}${message === "" ? "" : ` (${message})`}`;
    }
    case "refused":
      return outcome.detail;
    case "unreachable":
      return outcome.why;
  }
}

async function untilReachable(
  name: string,
  lastWordsFile: string,
  ask: () => Promise<AdminOutcome<AdminStatus>>,
  deadlineMs: number,
): Promise<AdminStatus> {
  for (;;) {
    const outcome = await ask();
    if (outcome.kind === "ok") return outcome.value;
    const lastWords = textOf(lastWordsFile);
    if (lastWords !== "") throw new Refusal(`${name} does not start: ${lastWords}`);
    if (performance.now() > deadlineMs) throw new Refusal(`${name}: ${describe(outcome)}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

function require<T>(name: string, outcome: AdminOutcome<T>): T {
  switch (outcome.kind) {
    case "ok":
      return outcome.value;
    case "refused":
      throw new Refusal(`${name} refuses: ${outcome.detail}`);
    case "unreachable":
      throw new Refusal(`${name} cannot be reached: ${outcome.why}`);
  }
}
