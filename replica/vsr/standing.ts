import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { PeerMessage, VolumeVerdict } from "#replica/wire/peer-message.ts";
import type { Life, PeerMemory, VolumeMark } from "#replica/wire/superblock.ts";
import { watchConditions } from "./alarms.ts";
import { ownLife } from "./lives.ts";
import { memberOf } from "./membership.ts";
import type { State } from "./state.ts";
import { persist } from "./superblock.ts";

declare const MUTATIONS: boolean | undefined;

/** What a ping or a pong says of the sender's volume. */
export type Ping = Extract<PeerMessage, { kind: "ping" | "pong" }>;

/** What is remembered becomes durable at least this often while it grows, in heartbeats. */
const rememberHeartbeats = 50;

/**
 * Judges the openings of a peer's volume by what is remembered of it (rule A11). Pure. A sound
 * volume opens with at least the superblock that it told of, and, in the same log view, with at
 * least the ops that it acknowledged. Each opening since the last one found sound is judged, so
 * that a copy cannot be opened until its numbers have caught up.
 */
export function judgeVolume(
  memory: PeerMemory | null,
  lives: readonly Life[],
): Exclude<VolumeVerdict, "unknown"> {
  if (memory === null) return "sound";
  const known = lives.find((life) => life.sequence === memory.life);
  if (known !== undefined && known.nonce !== memory.nonce) return "rolled_back";
  const oldest = lives[0];
  // A volume that names older openings but not the remembered one never had it.
  if (oldest === undefined || (known === undefined && oldest.sequence < memory.life)) {
    return "rolled_back";
  }
  for (const life of lives) {
    if (life.sequence <= memory.life) continue;
    // The life's own first write follows what it found: it must lie above all that was told.
    if (life.sequence <= memory.sequence || life.logView < memory.logView) return "rolled_back";
    const sameLog = life.logView === memory.logView && life.op !== null;
    if (sameLog && (life.op ?? 0) < memory.op) return "rolled_back";
  }
  return "sound";
}

/** The later of two marks of one volume, field by field as they grow. */
function laterMark(a: VolumeMark, b: VolumeMark): VolumeMark {
  const sequence = Math.max(a.sequence, b.sequence);
  if (a.logView !== b.logView) return { ...(a.logView > b.logView ? a : b), sequence };
  return { sequence, logView: a.logView, op: a.op > b.op ? a.op : b.op };
}

/** What is remembered of a peer in its present incarnation. */
export function memoryOf(state: State, replica: ReplicaIndex): PeerMemory | null {
  const memory = state.memories[replica] ?? null;
  return memory?.incarnation === memberOf(state, replica)?.incarnation ? memory : null;
}

function remember(state: State, memory: PeerMemory): void {
  const before = memoryOf(state, memory.replica);
  if (before !== null && before.incarnation === memory.incarnation) {
    assert(memory.life >= before.life, "VSR-91: lives of a volume go forward");
    assert(memory.sequence >= before.sequence, "VSR-91: what is remembered never goes back");
    assert(memory.logView >= before.logView, "VSR-91: nor does the log view");
    const same = memory.logView === before.logView;
    assert(!same || memory.op >= before.op, "VSR-91: nor the acked op of a log view");
  }
  state.memories[memory.replica] = memory;
}

/** An ack of an op that was not committed before tells that its sender holds it. */
export function rememberAck(state: State, from: ReplicaIndex, mark: Omit<VolumeMark, "sequence">) {
  const memory = memoryOf(state, from);
  if (memory === null) return;
  remember(state, { ...memory, ...laterMark(memory, { sequence: 0, ...mark }) });
}

/** The bug: nothing is remembered of peers, so every volume is sound. */
function forgets(): boolean {
  return (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("forget_peers");
}

/** Judges what a ping or a pong tells of its sender's volume, and remembers it if it is sound. */
export function judgePing(state: State, message: Ping): void {
  const peer = state.peers[message.from];
  assert(peer !== undefined, "VSR-03: peer");
  const memory = memoryOf(state, message.from);
  const life = message.lives.at(-1);
  if (life === undefined && memory === null) return;
  const { sequence, nonce } = life ?? { sequence: 0, nonce: 0 };
  if (forgets()) {
    peer.judged = { life: sequence, nonce, verdict: "sound" };
    return;
  }
  const verdict = judgeVolume(memory, message.lives);
  // A late frame of an earlier life is judged like a copy; the verdict names that life.
  peer.judged = { life: sequence, nonce, verdict };
  if (verdict !== "sound") return;
  const { from: replica, incarnation } = message;
  const mark = memory === null ? message.mark : laterMark(memory, message.mark);
  remember(state, { replica, incarnation, life: sequence, nonce, ...mark });
}

/** What a peer says of this volume: it vouches for it, or it remembers more than is here. */
export function onVerdict(state: State, message: Ping): "vouched" | "lost" | "nothing" {
  const { life, nonce, verdict } = message.yours;
  const own = ownLife(state);
  if (own === null && state.formed) return "nothing";
  if (life !== (own?.sequence ?? 0) || nonce !== (own?.nonce ?? 0)) return "nothing";
  const peer = state.peers[message.from];
  assert(peer !== undefined, "VSR-03: peer");
  if (verdict === "rolled_back" && !state.lost) {
    lose(state, message.from);
    return "lost";
  }
  if (verdict !== "sound" || own === null || peer.vouches) return "nothing";
  peer.vouches = true;
  return "vouched";
}

function lose(state: State, witness: ReplicaIndex): void {
  state.lost = true;
  persist(state);
  const { replica } = state;
  const what = `the volume of replica ${replica} was rolled back: replica ${witness} remembers`;
  const remedy = "it has no vote any more; replace the volume of this replica";
  state.lostWhy = `${what} more of it than it holds; ${remedy}`;
  watchConditions(state);
  state.emit({ kind: "status" });
}

/** Makes durable what was learned of the peers, a while after the last write of the superblock. */
export function keepMemories(state: State): void {
  const { durable, writtenMs, writing } = state.superblock;
  const { heartbeatMs } = state.options.timing;
  const soon = state.nowMs - writtenMs < rememberHeartbeats * heartbeatMs;
  if (soon || writing !== null || !state.formed || ownLife(state) === null) return;
  const grown = state.memories.some((memory) => {
    if (memory === null) return false;
    const before = durable.standing.remembered.find((each) => each.replica === memory.replica);
    if (before === undefined) return true;
    // Not the sequence alone: two idle replicas would make each other write for ever.
    return (["incarnation", "life", "logView", "op"] as const).some((k) => memory[k] !== before[k]);
  });
  if (grown) persist(state);
}
