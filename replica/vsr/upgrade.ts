import { assert } from "#replica/base/assert.ts";
import { type Op, opFrom } from "#replica/base/brands.ts";
import { pipelineMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { MachineVersions } from "#replica/wire/peer-message.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { checkpointInterval, isCheckpointOp } from "./checkpoint.ts";
import { fillTo } from "./membership.ts";
import { othersOf, primaryOf } from "./quorum.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

// Rule A12. UPGRADE(version) stands at an op u such that u + pipelineMax is a checkpoint op; the
// ops between are no-ops. That checkpoint is the first thing of the later version. A whole pipeline
// lies between, so the UPGRADE is committed before an op of the later version is made: no view
// change can undo it.

/** What the primary may put into its log now, as an upgrade has it. */
export type UpgradeTurn =
  /** Whatever there is. */
  | "free"
  /** A no-op: on the way to the next checkpoint, or between an UPGRADE and it. */
  | "noop"
  /** Nothing, until the last op of the former version was executed here. */
  | "hold"
  /** UPGRADE to that version. */
  | { readonly version: number };

/** An UPGRADE that is in the log, and the last op of the former version. */
interface Pending {
  readonly lastOp: Op;
  readonly version: number;
}

/** The upgrade of this log whose last op was not executed here; null = none. */
export function pendingUpgrade(state: State): Pending | null {
  const { log, commitMin, upgrade } = state;
  const interval = checkpointInterval(log.slotsCount);
  let last = (Math.floor(commitMin / interval) + 1) * interval;
  for (; last - pipelineMax <= log.head; last += interval) {
    const op = last - pipelineMax;
    if (upgrade?.op === op) return { lastOp: opFrom(last), version: upgrade.version };
    const header = op > commitMin ? log.header(op) : null;
    if (header?.kind === "upgrade") return { lastOp: opFrom(last), version: header.requestsCount };
  }
  return null;
}

/** What the primary makes next because of an upgrade. */
export function upgradeTurn(state: State): UpgradeTurn {
  const pending = pendingUpgrade(state);
  if (pending !== null) return state.log.head < pending.lastOp ? "noop" : "hold";
  const version = state.upgrading;
  if (version === null) return "free";
  if (upgradeRefusal(state, version) !== null || version <= state.options.machine.version) {
    state.upgrading = null;
    return "free";
  }
  const next = state.log.head + 1;
  if (isCheckpointOp(state, next + pipelineMax)) return { version };
  // A quiet shard would never come to its next checkpoint.
  return state.pipeline.waiting === 0 ? "noop" : "free";
}

/** What all three builds can apply, by what the peers said; null while one of them did not. */
export function commonVersions(state: State): MachineVersions | null {
  let { min, max } = state.options.machine.versions;
  for (const replica of othersOf(state.replica)) {
    const versions = state.peers[replica]?.versions ?? null;
    if (versions === null) return null;
    min = Math.max(min, versions.min);
    max = Math.min(max, versions.max);
  }
  return { min, max };
}

/** Why this replica will not propose that version now, as a sentence; null = it will, or did. */
export function upgradeRefusal(state: State, version: number): string | null {
  const { machine, timing } = state.options;
  if (version <= machine.version) return null;
  if (!state.leads || !state.voting || state.transfer !== null) {
    return `Ask the primary; replica ${primaryOf(state.view)} leads view ${state.view}.`;
  }
  if (machine.versions.max < version) return tooOld(state.replica, machine.versions, version);
  if (checkpointInterval(state.log.slotsCount) <= pipelineMax) {
    return `Between two checkpoints of this WAL lie no ${pipelineMax} ops; give it more slots.`;
  }
  if (state.replacing !== null || state.commitMin < fillTo(state)) {
    return "A replacement is under way; ask again when it is done.";
  }
  for (const replica of othersOf(state.replica)) {
    const peer = state.peers[replica];
    const silentMs = state.nowMs - (peer?.heardMs ?? -Infinity);
    if (peer === undefined || peer.versions === null || silentMs > 2 * timing.suspectMs) {
      return `An upgrade needs all three, and replica ${replica} is not heard; start it first.`;
    }
    if (peer.learner || !peer.vouches) {
      return `Replica ${replica} has no vote now; wait until it has.`;
    }
    if (peer.versions.max < version) return tooOld(replica, peer.versions, version);
  }
  return null;
}

function tooOld(replica: number, { min, max }: MachineVersions, version: number): string {
  const what = `The build of replica ${replica} runs versions ${min} to ${max} of the machine`;
  return `${what}; start it with one that runs version ${version} first.`;
}

/** Asks for an upgrade; ignored when it is refused or done. */
export function onUpgrade(state: State, version: number): void {
  if (version <= state.options.machine.version || upgradeRefusal(state, version) !== null) return;
  if (pendingUpgrade(state) === null) state.upgrading = version;
}

/** Why this build cannot run a committed op, as a sentence; null = it can. */
export function versionRefusal(state: State, header: PrepareHeader): string | null {
  const { min, max } = state.options.machine.versions;
  const needed = header.kind === "upgrade" ? header.requestsCount : header.machineVersion;
  if (needed >= min && needed <= max) return null;
  const what = `op ${header.op} needs version ${needed} of the machine`;
  const own = `this build runs versions ${min} to ${max}`;
  return `${what}, and ${own}; start this replica with a build that runs it, its volume is sound`;
}

/** An op is about to be executed: it is of the version that the log has come to. */
export function assertVersion(state: State, header: PrepareHeader): void {
  const { machine } = state.options;
  const own = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("upgrade_own_time");
  const same = header.machineVersion === machine.version;
  assert(own || same, "VSR-94: an op runs under the version that the log gives it");
  const between = state.upgrade !== null;
  assert(!between || header.kind === "noop", "VSR-95: no-ops between UPGRADE and checkpoint");
}

/** An op was executed: notes an UPGRADE, and switches after the last op of the former version. */
export function advanceUpgrade(state: State, header: PrepareHeader): void {
  const { op } = header;
  if (header.kind === "upgrade") {
    const last = op + pipelineMax;
    assert(isCheckpointOp(state, last), "VSR-95: an UPGRADE stands a pipeline before a checkpoint");
    state.upgrade = { op, version: header.requestsCount };
  }
  const { upgrade } = state;
  if (upgrade === null) return;
  const own = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("upgrade_own_time");
  // The bug: each replica switches at a time of its own.
  if (op < upgrade.op + (own ? state.replica : pipelineMax)) return;
  state.upgrade = null;
  const { machine } = state.options;
  assert(upgrade.version > machine.version, "VSR-96: versions never go back");
  machine.upgrade(upgrade.version);
  state.emit({ kind: "status" });
}
