import type { ClientId } from "#replica/base/brands.ts";
import { requestBodyBytesMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Prepare, Request, RequestHeader } from "#replica/wire/prepare.ts";
import { requestEncodedBytes, RequestReader } from "#replica/wire/request.ts";
import type { RejectReason } from "./effect.ts";
import { clusterTime } from "./clock-keeping.ts";
import { replyStored } from "./execute.ts";
import type { Session } from "./sessions.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

function reject(state: State, request: RequestHeader, reason: RejectReason): void {
  const clientId = request.clientId as ClientId;
  const retryMs = state.options.timing.heartbeatMs;
  // Clients may only learn of views that cannot be taken back by a crash: they ask no one older.
  const view = state.superblock.durableView;
  state.emit({ kind: "reject", clientId, request, reason, view, retryMs });
}

/** Gives waiting requests back to their clients: this replica no longer leads. */
export function rejectWaiting(state: State, waiting: readonly Request[]): void {
  for (const request of waiting) reject(state, request.header, "not_primary");
}

/** Gives back what waits while no prepare can get a time (rule A10): the same may come again. */
export function rejectUntimed(state: State): void {
  while (state.pipeline.waiting > 0) {
    for (const { header } of state.pipeline.takeBatch()) {
      const session = state.sessions.get(header.session);
      if (header.session === 0) state.registering.delete(header.clientId);
      else if (session !== undefined && session.prepared >= header.requestNumber) {
        session.prepared = header.requestNumber - 1;
      }
      reject(state, header, "busy");
    }
  }
}

function onRegister(state: State, request: Request): void {
  const { clientId } = request.header;
  const known = state.sessions.ofClient(clientId);
  if (known !== undefined) {
    replyStored(state, request.header, known.session, emptyBody);
    return;
  }
  if (state.registering.has(clientId)) return;
  if (!state.pipeline.enqueue(request)) {
    reject(state, request.header, "busy");
    return;
  }
  state.registering.add(clientId);
}

const emptyBody = new Uint8Array(0);

function onCommitted(state: State, session: Session, request: Request): void {
  const { requestNumber, requestChecksum } = request.header;
  const stored = state.sessions.reply(session, requestNumber);
  if (stored === undefined) return; // Older than the window: the client has long moved on.
  if (stored.requestChecksum !== requestChecksum) {
    reject(state, request.header, "request_mismatch");
    return;
  }
  replyStored(state, request.header, stored.op, stored.body);
}

/** A client's request (rule A9): answered, taken, dropped as a duplicate, or rejected. */
export function onRequest(state: State, request: Request, viewKnown: number): void {
  const { header } = request;
  if (!state.leads || !state.voting) {
    reject(state, header, "not_primary");
    return;
  }
  const bytesMax = state.options.batch.bytesMax ?? Infinity;
  const fits = requestEncodedBytes(request.body.length) <= bytesMax;
  if (!fits || request.body.length > requestBodyBytesMax) {
    reject(state, header, "busy");
    return;
  }
  if (clusterTime(state) === null) {
    reject(state, header, "busy");
    return;
  }
  if (state.transfer !== null) {
    // Another replica leads in a moment: clients keep trying by themselves, no request fails.
    reject(state, header, "not_primary");
    return;
  }
  if (header.session === 0) {
    onRegister(state, request);
    return;
  }
  const session = state.sessions.get(header.session);
  if (session === undefined) {
    // A replica that is behind what the client knows must not declare its session dead (A9).
    if (viewKnown > state.view) {
      reject(state, header, "not_primary");
      return;
    }
    // Its registration may stand in the suffix that this view commits again.
    const reason = header.session > state.commitMin ? "not_primary" : "no_session";
    reject(state, header, reason);
    return;
  }
  if (header.requestNumber <= session.committed) {
    onCommitted(state, session, request);
    return;
  }
  const twice = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("prepare_twice");
  if (header.requestNumber <= session.prepared) {
    if (twice) state.pipeline.enqueue(request);
    return;
  }
  if (header.requestNumber !== session.prepared + 1) {
    reject(state, header, "out_of_order");
    return;
  }
  if (!state.pipeline.enqueue(request)) {
    reject(state, header, "busy");
    return;
  }
  session.prepared = header.requestNumber;
}

/** A new primary learns which requests already stand in its uncommitted suffix. */
export function indexSuffix(state: State, suffix: readonly Prepare[]): void {
  for (const session of state.sessions.values()) session.prepared = session.committed;
  state.registering.clear();
  for (const prepare of suffix) {
    if (prepare.header.kind !== "requests") continue;
    const reader = new RequestReader(prepare.body);
    while (reader.next()) {
      if (reader.session === 0) state.registering.add(reader.clientId);
      const session = state.sessions.get(reader.session);
      if (session !== undefined) {
        session.prepared = Math.max(session.prepared, reader.requestNumber);
      }
    }
  }
}
