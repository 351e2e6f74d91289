import type { ResultCode } from "./operation.ts";

/** What each answer of the machine means, one sentence for a person. */
export const resultSentences: Readonly<Record<ResultCode, string>> = {
  ok: "It is committed.",
  room_exists: "The room was there already.",
  no_room: "There is no such room or thread.",
  key_mismatch: "The key, or the version, was used before with another content.",
  key_too_old: "The key's own time is older than the room remembers keys.",
  key_in_future: "The key's own time is more than five minutes ahead of log time.",
  moved: "The room is on another shard.",
  busy: "A table of the shard is full; nothing was committed.",
  too_large: "The body is over 16 KiB.",
  bad_operation: "The operation or its body is malformed, or it does not fit this kind of room.",
  denied: "The sender's role in the room does not allow this.",
  banned: "The sender is banned from the room.",
  muted: "The sender is muted in the room.",
  bad_target: "The entry that it refers to is not there, or is not one that it can refer to.",
  redacted: "The entry that it refers to was redacted.",
  stale: "It is not newer than what the room has: a marker does not move back.",
  quota: "A quota of the room or of its tenant is used up.",
  rate_limited: "The room or its tenant took too many entries in this second; retry in the next.",
  gone: "The entry that it refers to was dropped by the room's retention.",
  held: "A legal hold keeps the history of the room as it is.",
  not_due: "Retention does not reach so far yet; nothing was dropped.",
};
