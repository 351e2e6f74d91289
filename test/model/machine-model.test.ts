// Random histories through the machine and through the model; checkpoints, restarts and merges in
// between must be invisible. Same seeds, same histories: fast-check prints the failing one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { history } from "./histories.ts";
import type { Seen } from "./play.ts";
import { play } from "./play.ts";

/** What the histories must have met, or they prove little. */
const outcomes = [
  ...["ok", "dup", "room_exists", "no_room", "key_mismatch", "key_too_old", "key_in_future"],
  ...["busy", "bad_operation", "needs blocks", "restart", "denied", "banned", "muted"],
  ...["bad_target", "redacted", "stale", "quota", "rate_limited", "edit ok", "edit denied"],
  ...["redact ok", "redact denied", "react ok", "unreact ok", "marker ok", "member ok"],
  ...["member denied", "member quota", "ban ok", "ban denied", "mute ok", "settings ok"],
  ...["settings denied", "create_dm ok", "create_dm key_mismatch", "configure ok"],
  ...["configure stale", "configure key_mismatch", "message quota", "create_room quota"],
  ...["retain ok", "retain stale", "retain key_mismatch", "trim ok", "trim stale", "trim held"],
  ...["trim not_due", "trim bad_operation", "gone", "redact held", "swept"],
  ...["message muted", "message banned", "message denied", "thread bad_operation"],
];

test("machine: random histories agree with the model through checkpoints and restarts", () => {
  const seen: Seen = new Map();
  fc.assert(
    fc.property(history, (events) => play(events, seen)),
    { numRuns: 150, seed: 20_260_101 },
  );
  for (const what of outcomes) assert.ok((seen.get(what) ?? 0) > 0, `never happened: ${what}`);
});
