import { errorRow } from "#edge/api/errors.ts";
import { threadOf } from "#replica/wire/room-names.ts";
import type { PostOutcome, ReadOutcome, Refusal } from "./intents.ts";

/** Members that name a room or thread by the name of its log. */
export function logMembers(log: string): { readonly room: string; readonly thread?: number } {
  const thread = threadOf(log);
  return thread === null ? { room: log } : { room: thread.room, thread: thread.root };
}

/** `ok` of a post. */
export function postedText(id: string, outcome: PostOutcome & { readonly ok: true }): string {
  const { epoch, seq, timeUs, dup } = outcome;
  const result = { epoch, seq, t: timeUs, ...(dup ? { dup } : {}) };
  return JSON.stringify({ op: "ok", id, result });
}

/** A read's page as JSON text. */
export function pageText(page: ReadOutcome & { readonly ok: true }): string {
  const { epoch, head, floor, events, skips } = page;
  const hidden = skips.length === 0 ? "" : `,"skips":${JSON.stringify(skips)}`;
  const position = `"epoch":${epoch},"head":${head},"floor":${floor}`;
  return `{${position},"events":[${events.join(",")}]${hidden}}`;
}

/** `ok` of a read. */
export function pageReadText(id: string, page: ReadOutcome & { readonly ok: true }): string {
  return `{"op":"ok","id":${JSON.stringify(id)},"result":${pageText(page)}}`;
}

/** `err`; `log`: the room or thread that is detached for that reason. */
export function errorText(id: string, refusal: Refusal, log?: string): string {
  const { code, name, meaning, retryable } = errorRow(refusal.error);
  const { retryMs, detail } = refusal;
  const wait = retryable && retryMs !== undefined ? { retry_ms: retryMs } : {};
  const where = log === undefined ? {} : logMembers(log);
  const message = detail ?? meaning;
  return JSON.stringify({ op: "err", id, code, name, message, retryable, ...wait, ...where });
}
