import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { PeerEnvelope, PeerMessage } from "#replica/wire/peer-message.ts";
import { othersOf } from "./quorum.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** A message without its envelope. */
export type PeerBody = Without<PeerMessage, keyof PeerEnvelope>;

type Vote = Extract<PeerBody, { kind: "do_view_change" }>;

function assertVoteDurable(state: State, vote: Vote): void {
  const { durable, durableLogView } = state.superblock;
  assert(durableLogView === vote.logView, "VSR-41: a vote's log_view is durable");
  const named = vote.headers.filter((header) => header !== null);
  assert(named.length === durable.viewHeaders.length, "VSR-41: a vote's headers are durable");
  for (let i = 0; i < named.length; i += 1) {
    assert(named[i]?.checksum === durable.viewHeaders[i]?.checksum, "VSR-41: same headers");
  }
}

function assertAckDurable(state: State, op: number): void {
  if ((typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("ack_before_durable")) return;
  assert(state.status === "normal", "VSR-43: acks only in normal status");
  assert(state.logDurable, "VSR-43: acks only with a durable log_view");
  for (let n = state.commitMax + 1; n <= op; n += 1) {
    assert(state.log.present(n), "VSR-44: an ack covers only what is durable here");
  }
}

/** Persist before send (rule A2): what must be durable before a message leaves. */
function assertPersisted(state: State, body: PeerBody): void {
  const viewIsDurable = state.superblock.durableView >= state.view;
  if (body.kind !== "ping" && body.kind !== "pong" && body.kind !== "get_view") {
    assert(viewIsDurable, "VSR-40: a view is durable before it is used");
  }
  switch (body.kind) {
    case "do_view_change":
      assert(state.voting, "VSR-45: only voters vote");
      assertVoteDurable(state, body);
      return;
    case "start_view_change":
      assert(state.voting, "VSR-45: only voters suspect");
      return;
    case "start_view":
    case "commit":
      assert(state.leads, "VSR-42: only the normal primary leads");
      assert(state.logDurable, "VSR-42: a view starts after its log_view is durable");
      return;
    case "prepare":
      // A relayed prepare is its author's word, an older one was said in its own view.
      if (body.prepare.header.author !== state.replica) return;
      if (body.prepare.header.view < state.view) return;
      assert(state.logDurable, "VSR-42: prepares follow a durable log_view");
      return;
    case "prepare_ok":
      assert(state.voting, "VSR-45: only voters ack");
      assertAckDurable(state, body.op);
      return;
    case "ping":
    case "pong":
    case "get_view":
    case "get_headers":
    case "headers":
    case "get_prepare":
    case "get_chunk":
    case "chunk":
    case "cosign":
      return;
    default:
      body satisfies never;
  }
}

/** True for what a peer builds on: said only to those who vouch for this volume (rule A11). */
function isPromise(state: State, body: PeerBody): boolean {
  switch (body.kind) {
    case "prepare_ok":
    case "start_view_change":
    case "do_view_change":
    case "start_view":
    case "commit":
      return true;
    case "prepare":
      return (
        body.prepare.header.author === state.replica && body.prepare.header.view === state.view
      );
    default:
      return false;
  }
}

/** The one door out: adds the envelope, asserts persist-before-send. */
export function send(state: State, to: ReplicaIndex, body: PeerBody): void {
  assert(to !== state.replica, "VSR-46: no message to oneself");
  if (state.stopped) return;
  const peer = state.peers[to];
  if (isPromise(state, body)) {
    const bold = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("vote_unvouched");
    if (peer?.vouches !== true && !bold) return;
    assert(!state.lost, "VSR-28: a volume that was rolled back promises nothing");
  }
  assertPersisted(state, body);
  if (peer !== undefined) peer.sentMs = state.nowMs;
  const { incarnation } = state.superblock.durable.identity;
  // The body of one kind with the envelope of all kinds is a message of that kind.
  const message = { from: state.replica, incarnation, view: state.view, ...body } as PeerMessage;
  state.emit({ kind: "send", to, message });
}

/** Sends to both peers. */
export function broadcast(state: State, body: PeerBody): void {
  for (const peer of othersOf(state.replica)) send(state, peer, body);
}

/** True when the current view is durable, so that answers may carry it. */
export function viewDurable(state: State): boolean {
  return state.superblock.durableView >= state.view;
}
