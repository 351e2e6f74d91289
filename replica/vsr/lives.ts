import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import { type Life, livesMax, type VolumeMark } from "#replica/wire/superblock.ts";
import type { State } from "./state.ts";

/** Begins this process's life on the volume: told to peers once its superblock is durable. */
export function beginLife(state: State): void {
  assert(state.superblock.writing === null, "VSR-92: a life is the first superblock of a process");
  const { durable } = state.superblock;
  state.life = {
    sequence: durable.sequence + 1,
    nonce: state.prng.uint32(),
    logView: durable.logView,
    op: state.log.headCertain ? state.log.head : null,
  };
}

/** This process's life, once it is durable. */
export function ownLife(state: State): Life | null {
  const { life } = state;
  if (life === null || state.superblock.durable.sequence < life.sequence) return null;
  return life;
}

/** Openings of this volume as the superblock names them from the next write on. */
export function livesOf(state: State): readonly Life[] {
  const { lives } = state.superblock.durable.standing;
  const { life } = state;
  if (life === null || lives.at(-1)?.sequence === life.sequence) return lives;
  return [...lives, life].slice(-livesMax);
}

/** How far this volume has come: durable superblock, and what was acked in its log view. */
export function ownMark(state: State): VolumeMark {
  const { durable, durableLogView } = state.superblock;
  const held = state.status === "normal" && state.logDurable ? state.heldOp : 0;
  return { sequence: durable.sequence, logView: durableLogView, op: opFrom(held) };
}
