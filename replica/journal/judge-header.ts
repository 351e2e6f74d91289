import { mutated } from "#replica/base/mutation.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";

declare const MUTATIONS: boolean | undefined;

/**
 * What the superblock says of a header found in the log, before any table is asked (A5a 4).
 * `called`: it names this very header, or the log of log_view continues with it. `free`: it says
 * nothing, the op lies below its headers. `void`: it contradicts it.
 */
export type Judgement = "called" | "free" | "void";

/** The part of a superblock that judges the log. */
export type JudgingState = Pick<SuperblockState, "view" | "logView" | "viewHeaders">;

/** Judges a header by the durable view, log_view and selected headers. */
export function judgeHeader(header: PrepareHeader, state: JudgingState): Judgement {
  const trust = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("trust_identifiers");
  if (trust) return "free";
  const { view, logView, viewHeaders } = state;
  let head = -1;
  let lowest = Number.POSITIVE_INFINITY;
  for (const named of viewHeaders) {
    if (named.op === header.op) return named.checksum === header.checksum ? "called" : "void";
    head = Math.max(head, named.op);
    lowest = Math.min(lowest, named.op);
  }
  // Made in a view whose log_view never became durable here: it was never acknowledged.
  if (header.view > logView) return "void";
  if (head === -1 || header.op < lowest) return "free";
  // Blank inside the range: dropped by the selection.
  if (header.op < head) return "void";
  // Above the head. With log_view < view the stored headers are the whole log from their lowest
  // op up; otherwise only prepares made in that view come after them.
  if (logView < view) return "void";
  return header.view === logView ? "called" : "void";
}
