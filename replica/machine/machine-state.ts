import { assert } from "#replica/base/assert.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { slotsCount } from "#replica/base/limits.ts";
import type { MachineGenesis } from "./port.ts";
import { roomNumbersEnd } from "./proof-tapes.ts";

/** Versions of the machine that this build can apply; README lists what each changed. */
export const machineVersions = { min: 1, max: 2 } as const;

const fixedBytes = 72;
const rangeBytes = 8;

/** Scalars of a machine as of an op: what its checkpoints' manifests carry. */
export interface MachineState {
  /** Version of the machine that applies the next op (rule A12): what each op may do. */
  version: number;
  /** Log time of the last prepare, microseconds. */
  timeUs: number;
  /** Age at which a key is refused and forgotten, microseconds of log time. */
  keyWindowUs: number;
  keysMax: number;
  roomsMax: number;
  roomsCount: number;
  /** Entries ever committed. */
  entriesCount: number;
  /** Lowest generation of remembered keys. */
  keyGenerationFloor: number;
  /** 16 bytes. */
  seed: Uint8Array;
  /** Epoch of each slot that this shard owns; 0 = not owned. */
  slotEpochs: Uint32Array;
}

/** State at genesis. Asserts the ranges: the configuration was validated before. */
export function machineStateAtGenesis(genesis: MachineGenesis): MachineState {
  const { slots, keys } = genesis;
  assert(slots.first >= 0 && slots.first + slots.count <= slotsCount, "MCH-11: slots");
  assert(slots.epoch >= 1 && slots.epoch < 2 ** 32, "MCH-11: epoch");
  assert(genesis.seed.length === 16, "MCH-11: seed");
  assert(keys.windowHours > 0 && keys.windowHours <= 24 * 366, "MCH-11: window");
  assert(Number.isSafeInteger(keys.max) && keys.max >= 1, "MCH-11: keys");
  const { roomsMax } = genesis;
  assert(Number.isSafeInteger(roomsMax) && roomsMax >= 1, "MCH-11: rooms");
  assert(roomsMax <= roomNumbersEnd, "MCH-20: numbers behind the rooms are tapes");
  const version = genesis.version ?? machineVersions.min;
  const known = version >= machineVersions.min && version <= machineVersions.max;
  assert(known, "MCH-11: version");
  return {
    version,
    timeUs: 0,
    keyWindowUs: Math.floor(keys.windowHours * 3_600_000_000),
    keysMax: keys.max,
    roomsMax,
    roomsCount: 0,
    entriesCount: 0,
    keyGenerationFloor: 0,
    seed: genesis.seed.slice(),
    slotEpochs: new Uint32Array(slotsCount).fill(
      slots.epoch,
      slots.first,
      slots.first + slots.count,
    ),
  };
}

/** First slot after `start` whose epoch differs from that of `start`. */
function rangeEnd(epochs: Uint32Array, start: number): number {
  let end = start + 1;
  while (end < epochs.length && epochs[end] === epochs[start]) end += 1;
  return end;
}

/**
 * Canonical bytes: seven numbers u64 in the order of {@link MachineState}, seed, version u32, count
 * of ranges u32; then the owned slots as ranges of one epoch: first u16, count u16, epoch u32.
 */
export function encodeMachineState(state: MachineState): Uint8Array {
  let ranges = 0;
  for (let at = 0; at < slotsCount; at = rangeEnd(state.slotEpochs, at)) {
    if (state.slotEpochs[at] !== 0) ranges += 1;
  }
  const bytes = new Uint8Array(fixedBytes + 8 + ranges * rangeBytes);
  const view = new DataView(bytes.buffer);
  writeU64(view, 0, state.timeUs);
  writeU64(view, 8, state.keyWindowUs);
  writeU64(view, 16, state.keysMax);
  writeU64(view, 24, state.roomsMax);
  writeU64(view, 32, state.roomsCount);
  writeU64(view, 40, state.entriesCount);
  writeU64(view, 48, state.keyGenerationFloor);
  bytes.set(state.seed, 56);
  view.setUint32(fixedBytes, state.version, true);
  view.setUint32(fixedBytes + 4, ranges, true);
  let offset = fixedBytes + 8;
  for (let at = 0; at < slotsCount; ) {
    const end = rangeEnd(state.slotEpochs, at);
    const epoch = state.slotEpochs[at] ?? 0;
    if (epoch !== 0) {
      view.setUint16(offset, at, true);
      view.setUint16(offset + 2, end - at, true);
      view.setUint32(offset + 4, epoch, true);
      offset += rangeBytes;
    }
    at = end;
  }
  return bytes;
}

/** Why this build cannot go on from a state, as a sentence for a person; null = it can. */
export function stateRefusal(
  bytes: Uint8Array,
  { min, max }: { readonly min: number; readonly max: number } = machineVersions,
): string | null {
  if (bytes.length < fixedBytes + 8) return "The state of the machine is cut off.";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(fixedBytes, true);
  if (version >= min && version <= max) return null;
  const what = `The checkpoint is of version ${version} of the machine`;
  const remedy = `start this replica with a build that runs version ${version}`;
  return `${what}, and this build runs versions ${min} to ${max}; ${remedy}, its volume is sound.`;
}

/** Reads what {@link encodeMachineState} wrote; asserts, for the manifest's digest was checked. */
export function decodeMachineState(bytes: Uint8Array): MachineState {
  assert(bytes.length >= fixedBytes + 8, "MCH-11: state is short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(fixedBytes, true);
  assert(stateRefusal(bytes) === null, "MCH-11: version of the state");
  const slotEpochs = new Uint32Array(slotsCount);
  let offset = fixedBytes + 8;
  for (let range = view.getUint32(fixedBytes + 4, true); range > 0; range -= 1) {
    const first = view.getUint16(offset, true);
    const end = first + view.getUint16(offset + 2, true);
    assert(end <= slotsCount, "MCH-11: slots of the state");
    slotEpochs.fill(view.getUint32(offset + 4, true), first, end);
    offset += rangeBytes;
  }
  return {
    version,
    timeUs: readU64(view, 0),
    keyWindowUs: readU64(view, 8),
    keysMax: readU64(view, 16),
    roomsMax: readU64(view, 24),
    roomsCount: readU64(view, 32),
    entriesCount: readU64(view, 40),
    keyGenerationFloor: readU64(view, 48),
    seed: bytes.slice(56, 72),
    slotEpochs,
  };
}
