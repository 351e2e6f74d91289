import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Op } from "#replica/base/brands.ts";
import { pipelineMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Prepare, PrepareHeader, RequestHeader } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";
import { beginCheckpoint, checkpointBusy, checkpointsFull, isCheckpointOp } from "./checkpoint.ts";
import { makesMember } from "./log.ts";
import { applyReplace } from "./membership.ts";
import type { State } from "./state.ts";
import { advanceUpgrade, assertVersion, versionRefusal } from "./upgrade.ts";
import { markFaulty, trimBody } from "./writes.ts";

declare const MUTATIONS: boolean | undefined;

/** True when ops of this log may run: the log is the current view's (A3.6). */
function mayExecute(state: State): boolean {
  if (state.sync !== null || state.stopped || state.execution.kind !== "idle") return false;
  if (state.status === "normal") return state.logView === state.view;
  return state.status === "view_change" && state.change.selected && state.logDurable;
}

/** The header that runs next, or null: unknown, unproven, or held back by a checkpoint. */
function nextHeader(state: State): PrepareHeader | null {
  const op = state.commitMin + 1;
  const early = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("execute_uncommitted");
  if ((op > state.commitMax && !early) || op > state.log.head) return null;
  const header = state.log.header(op);
  if (header === null) return null;
  // The WAL must reach a checkpoint's op, else a restart would find a head below its state.
  const held = checkpointBusy(state) || checkpointsFull(state);
  const tooEarly = held || !state.log.present(op);
  if (isCheckpointOp(state, op) && tooEarly) return null;
  const skip = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("execute_without_chain");
  if (skip) return header;
  if (op < state.log.chainLow) return null;
  assert(header.parent === state.commitChecksum, "VSR-60: what runs next names what ran last");
  return header;
}

/** Runs committed ops in order as far as their bodies and blocks are at hand. */
export function execute(state: State): void {
  while (mayExecute(state)) {
    const header = nextHeader(state);
    if (header === null) return;
    const prepare = state.log.slot(header.op).prepare;
    if (prepare === null) {
      if (!readToExecute(state, header)) state.repairPending = true;
      return;
    }
    const why = versionRefusal(state, header);
    if (why !== null) {
      state.stopped = true;
      state.emit({ kind: "stop", why });
      return;
    }
    const addresses = state.options.machine.needs(prepare);
    if (addresses.length === 0) {
      apply(state, prepare, []);
      continue;
    }
    state.execution = { kind: "loading", op: header.op, prepare };
    state.emit({ kind: "load_blocks", op: header.op, addresses });
  }
}

function readToExecute(state: State, header: PrepareHeader): boolean {
  if (!state.log.present(header.op)) return false;
  state.execution = { kind: "reading", op: header.op };
  const { op, checksum } = header;
  state.emit({ kind: "read_prepare", op, checksum, purpose: { kind: "commit" } });
  return true;
}

/** A body came back from disk to be executed. */
export function onCommitRead(state: State, header: Op, prepare: Prepare | null): void {
  if (state.execution.kind !== "reading" || state.execution.op !== header) return;
  state.execution = { kind: "idle" };
  const slot = state.log.slot(header);
  if (slot.header === null || slot.header.op !== header) return;
  if (prepare === null) markFaulty(state, header, slot.header.checksum);
  else if (slot.header.checksum === prepare.header.checksum) slot.prepare ??= prepare;
}

/** The machine's blocks are in memory: the op that waited for them runs. */
export function onBlocksLoaded(state: State, op: Op, blocks: readonly Uint8Array[]): void {
  const { execution } = state;
  if (execution.kind !== "loading" || execution.op !== op) return;
  state.execution = { kind: "idle" };
  // While a sync is under way the machine is not to be touched: the op comes again if that fails.
  if (state.sync !== null) return;
  // A state sync may have passed this op meanwhile.
  if (op === state.commitMin + 1) apply(state, execution.prepare, blocks);
}

function apply(state: State, prepare: Prepare, blocks: readonly Uint8Array[]): void {
  const { header } = prepare;
  assert(header.op === state.commitMin + 1, "VSR-61: ops run in order, each once");
  assert(header.op <= state.commitMax, "VSR-62: only committed ops run");
  assertVersion(state, header);
  const replies = state.options.machine.apply(prepare, blocks);
  state.commitMin = header.op;
  state.commitChecksum = header.checksum;
  state.emit({ kind: "committed", op: header.op, view: state.view });
  if (header.kind === "requests") finishRequests(state, prepare, replies);
  if (makesMember(header)) applyReplace(state, prepare);
  advanceUpgrade(state, header);
  if (isCheckpointOp(state, header.op)) beginCheckpoint(state, header.op);
  trimBody(state, header.op - 2 * pipelineMax);
}

function finishRequests(state: State, prepare: Prepare, replies: readonly Uint8Array[]): void {
  const { op, requestsCount } = prepare.header;
  assert(replies.length === requestsCount, "VSR-63: one reply a request");
  const reader = new RequestReader(prepare.body);
  for (const body of replies) {
    assert(reader.next(), "VSR-64: a committed body is well formed");
    const { header } = reader;
    let replyOp = op;
    if (header.session === 0) {
      replyOp = state.sessions.register(reader.clientId, op).session;
      state.registering.delete(header.clientId);
    } else {
      const { requestNumber, requestChecksum } = header;
      state.sessions.commit(header.session, { requestNumber, requestChecksum, op, body });
    }
    if (state.leads) reply(state, header, replyOp, body);
  }
  assert(!reader.next(), "VSR-64: as many requests as the header says");
}

function reply(state: State, request: RequestHeader, op: Op, body: Uint8Array): void {
  assert(state.leads, "VSR-65: only the primary of the view replies");
  assert(op <= state.commitMin, "VSR-65: only after commit");
  state.emit({ kind: "reply", request, view: state.view, op, body });
}

/** Answers a request from the session table. */
export function replyStored(
  state: State,
  request: RequestHeader,
  op: number,
  body: Uint8Array,
): void {
  reply(state, request, opFrom(op), body);
}
