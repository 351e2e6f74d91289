import type { Decision, RoomShard } from "#operator/api/room-shard.ts";
import { marks, shardNames } from "#operator/desired/names.ts";
import { shareOf } from "#operator/desired/owner.ts";
import { podConfigOf } from "#operator/desired/shard-objects.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { wholeTime } from "#operator/kube/micro-time.ts";
import { formedRecord, genesisStep } from "#operator/policy/genesis.ts";
import type { GenesisRecord, ObservedShard } from "#operator/policy/observed.ts";
import { type ReplaceStep, replaceStep } from "#operator/policy/replace.ts";
import { restartStep } from "#operator/policy/restart.ts";
import { keysOf, type RotateStep, rotateStep } from "#operator/policy/rotate.ts";
import { type RollDecision, rollDecision } from "#operator/policy/roll.ts";
import { statusOf } from "#operator/policy/status.ts";
import { upgradeStep } from "#operator/policy/upgrade.ts";
import { advanceGenesis } from "./advance-genesis.ts";
import { certifyMember } from "./certify-member.ts";
import { type Context, keyOfShard } from "./context.ts";
import { ensureChildren } from "./ensure-children.ts";
import { ensureSecrets, type Obstacle } from "./ensure-secrets.ts";
import {
  ensureStatefulSet,
  podsOfLastLife,
  rollRequested,
  templateState,
  type WantedTemplate,
  wantedTemplate,
} from "./ensure-stateful-set.ts";
import type { Fleet } from "./fleet.ts";
import { inTurn } from "./fleet-turn.ts";
import { growClaims } from "./grow-claims.ts";
import { type Freshness, observeMembers } from "./observe-shard.ts";
import { publishRouting } from "./reserve-slots.ts";
import { replaceVolume } from "./replace-volume.ts";
import { restartMember } from "./restart-member.ts";
import { refuseWord, rotateMemberKey } from "./rotate-member-key.ts";
import { upgradeShard } from "./upgrade-shard.ts";
import { writeStatus } from "./write-status.ts";

/** How soon a shard in motion is looked at again, in milliseconds. */
const movingMs = 1_000;
/** How often a shard at rest is looked at: its primary moves without any word to Kubernetes. */
const restingMs = 5_000;

/**
 * One round for one shard, from its full state: observe, decide, act, report. Returns after how
 * many milliseconds to look again. Throws what should be tried again with backoff.
 */
export async function reconcileShard(context: Context, shard: RoomShard): Promise<number> {
  if (shard.metadata.deletionTimestamp !== undefined) return restingMs;
  const { namespace = "default" } = shard.metadata;
  const place = { namespace, fleet: shard.spec.fleet };
  const fleet = await context.fleets.ensure(place, shareOf(shard));
  const config = podConfigOf(shard, fleet.cluster);
  const wanted = wantedTemplate(context, shard, config);
  const obstacle = shard.spec.paused ? undefined : await ensureSecrets(context, shard);
  let round = await observe(context, shard, fleet, wanted, "mirror");
  if (obstacle !== undefined) return report(context, round, wanted, fleet, obstacle);
  if (shard.spec.paused) {
    await holdWhilePaused(context, round, wanted);
    return report(context, round, wanted, fleet, undefined);
  }
  await ensureChildren(context, shard, config);
  const stored = storedSet(context, shard);
  const ending = podsOfLastLife(context, shard, stored);
  if (ending !== undefined) return report(context, round, wanted, fleet, ending);
  if (await growClaims(context, shard, stored)) return movingMs;
  await ensureStatefulSet(context, shard, wanted, round.roll, stored);
  const acting = await act(context, round, wanted, fleet);
  if (acting.moved) round = await observe(context, shard, fleet, wanted, "mirror");
  return report(context, round, wanted, fleet, acting.obstacle);
}

/** What was seen and what follows from it. */
interface Round {
  readonly observed: ObservedShard;
  readonly roll: RollDecision;
}

function storedSet(context: Context, shard: RoomShard) {
  const { name, namespace = "default" } = shard.metadata;
  return context.mirrors.get(kinds.statefulSet, namespace, shardNames(name).statefulSet);
}

async function observe(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  wanted: WantedTemplate,
  freshness: Freshness,
): Promise<Round> {
  const members = await observeMembers(context, shard, fleet, freshness);
  const stored = storedSet(context, shard);
  const template = templateState(wanted.hash, stored);
  const observed = { shard, nowMs: Date.now(), template, members };
  return { observed, roll: rollDecision(observed, rollRequested(shard, stored)) };
}

async function holdWhilePaused(
  context: Context,
  round: Round,
  wanted: WantedTemplate,
): Promise<void> {
  const { shard, template } = round.observed;
  if (round.roll.kind !== "hold_proven" || template.current === template.proven) return;
  await ensureStatefulSet(context, shard, wanted, round.roll, storedSet(context, shard));
}

/** Takes at most one step, on facts read live when the mirror suggests that there is one. */
async function act(
  context: Context,
  round: Round,
  wanted: WantedTemplate,
  fleet: Fleet,
): Promise<{ readonly moved: boolean; readonly obstacle: Obstacle | undefined }> {
  const { shard } = round.observed;
  const none = { moved: false, obstacle: undefined };
  const suggested = genesisStep(round.observed, fleet.cluster);
  if (suggested.kind === "wait" || suggested.kind === "refuse") {
    const restart = restartStep(round.observed);
    if (restart.kind !== "delete") return none;
  }
  if (suggested.kind === "formed" && isSettled(round, suggested.record)) {
    await publishRouting(context, shard, fleet, suggested.record.slots);
    return none;
  }
  const live = await observe(context, shard, fleet, wanted, "live");
  const { members } = live.observed;
  const step = genesisStep(live.observed, fleet.cluster);
  if (step.kind !== "formed") {
    const obstacle = await advanceGenesis(context, shard, fleet, members, step);
    await restartMember(context, shard, fleet, members, stuckOnly(live.observed));
    return { moved: true, obstacle };
  }
  await publishRouting(context, shard, fleet, step.record.slots);
  const replace = replaceOf(live.observed);
  await replaceVolume(context, shard, fleet, members, step.record, replace);
  for (const member of members) {
    // An empty volume of a formed shard gets no certificate but by a replacement.
    if (member.report?.state === "unformatted") continue;
    if (member.certification !== "missing" && member.certification !== "renew") continue;
    const expected = keysOf(step.record, member.replica);
    await certifyMember(context, shard, fleet, member, expected);
  }
  const restart = inTurn(context, shard, restartStep(live.observed));
  await restartMember(context, shard, fleet, members, restart);
  if (restart.kind === "none" && replace.kind !== "replace") {
    const rotate = rotateOf(live.observed, step.record);
    await rotateMemberKey(context, shard, fleet, members, step.record, rotate);
    const upgrade = upgradeStep(live.observed);
    if (!isStep(rotate)) await upgradeShard(context, shard, fleet, members, upgrade);
  }
  return { moved: true, obstacle: undefined };
}

/** Before a shard is formed only pods that serve nobody are restarted. */
function stuckOnly(observed: ObservedShard) {
  const step = restartStep(observed);
  return step.kind === "delete" ? step : ({ kind: "none" } as const);
}

function replaceOf(observed: ObservedShard): ReplaceStep {
  return replaceStep(observed, observed.shard.metadata.annotations?.[marks.replace]);
}

function rotateOf(observed: ObservedShard, record: GenesisRecord): RotateStep {
  return rotateStep(observed, record, observed.shard.metadata.annotations?.[marks.rotateKey]);
}

function isStep({ kind }: RotateStep): boolean {
  return kind !== "none" && kind !== "wait";
}

/** Nothing to replace, to certify, to restart, to upgrade, and no key to change. */
function isSettled(round: Round, record: GenesisRecord): boolean {
  const { members } = round.observed;
  const certain = members.every(
    ({ certification }) => !["missing", "renew"].includes(certification),
  );
  const whole = replaceOf(round.observed).kind !== "replace";
  const upgraded = upgradeStep(round.observed).kind !== "upgrade";
  const keyed = !isStep(rotateOf(round.observed, record));
  return certain && whole && upgraded && keyed && restartStep(round.observed).kind === "none";
}

async function report(
  context: Context,
  round: Round,
  wanted: WantedTemplate,
  fleet: Fleet,
  obstacle: Obstacle | undefined,
): Promise<number> {
  const { observed, roll } = round;
  const genesis = genesisStep(observed, fleet.cluster);
  const restart = inTurn(context, observed.shard, restartStep(observed));
  const decided = { genesis, roll, restart, ...(obstacle === undefined ? {} : { obstacle }) };
  const now = wholeTime(observed.nowMs);
  const status = statusOf(observed, decided, {
    now,
    image: wanted.image,
    clusterID: fleet.cluster,
    lastDecision: decisionOf(observed.shard, restart.kind, now),
  });
  const { shard, members } = observed;
  const record = formedRecord(genesis);
  const rotate = record === null ? null : rotateOf(observed, record);
  if (rotate !== null) await refuseWord(context, shard, rotate);
  await writeStatus(context, shard, status);
  await context.audit.send(keyOfShard(shard), shard, fleet, members);
  const moving =
    genesis.kind !== "formed" || restart.kind !== "none" || rotate === null || isStep(rotate);
  return moving || status.phase !== "Serving" ? movingMs : restingMs;
}

const actions: Readonly<Record<string, string>> = {
  evict: "Evict",
  delete: "DeletePod",
  transfer: "TransferPrimary",
};

/** The last decision that changed something; kept while nothing new is decided. */
function decisionOf(shard: RoomShard, kind: string, time: string): Decision | undefined {
  const action = actions[kind];
  const before = shard.status?.lastDecision;
  if (action === undefined || before?.action === action) return before;
  return { time, action, result: "Taken", reason: "TemplateChanged" };
}
