// Goal: the recovery decision is total, unambiguous and never denies what may have
// been acknowledged.
// Method: every combination of the inputs, not a sample.
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { test } from "node:test";
import {
  type DecisionInput,
  decide,
  decisionRows,
  identifierInputs,
  judgementInputs,
  listedInputs,
  prepareInputs,
} from "./decision-table.ts";

function everyInput(): readonly DecisionInput[] {
  const inputs: DecisionInput[] = [];
  for (const prepare of prepareInputs) {
    for (const judgement of judgementInputs) {
      for (const identifier of identifierInputs) {
        for (const listed of listedInputs) inputs.push({ prepare, judgement, identifier, listed });
      }
    }
  }
  return inputs;
}

/** A header is judged exactly when a whole prepare shows one. */
function isPossible(input: DecisionInput): boolean {
  return (input.prepare === "whole") === (input.judgement !== "none");
}

test("journal: every possible input has exactly one row, every impossible one none", () => {
  for (const input of everyInput()) {
    if (isPossible(input)) decide(input);
    else throws(() => decide(input), /JRN-04/);
  }
});

test("journal: every row is the answer to some input", () => {
  const hit = new Set(
    everyInput()
      .filter(isPossible)
      .map((input) => decide(input).id),
  );
  deepStrictEqual([...hit].sort(), decisionRows.map((row) => row.id).sort());
});

test("journal: a slot is empty only when nothing durable can have been acknowledged in it", () => {
  for (const input of everyInput().filter(isPossible)) {
    if (decide(input).state !== "empty") continue;
    // A trusted identifier of this op or a newer one proves that the prepare was durable here.
    ok(["absent", "older", "void"].includes(input.identifier), JSON.stringify(input));
    // Damage is never emptiness, not even beside a void identifier: that one may be behind.
    ok(input.prepare !== "invalid", JSON.stringify(input));
    // Any identifier over zeros is a loss: something was written here.
    if (input.prepare === "blank") strictEqual(input.identifier, "absent");
    if (input.prepare === "whole") ok(input.judgement !== "called");
  }
});

test("journal: a slot is clean only with a whole prepare that nothing contradicts", () => {
  for (const input of everyInput().filter(isPossible)) {
    if (decide(input).state !== "clean") continue;
    strictEqual(input.prepare, "whole");
    ok(input.judgement === "called" || input.judgement === "free");
    ok(input.identifier !== "differs" && input.identifier !== "newer");
    if (input.identifier === "void") strictEqual(input.judgement, "called");
  }
});

test("journal: a fault that the superblock remembers never turns into emptiness", () => {
  for (const input of everyInput().filter(isPossible)) {
    if (input.listed !== "listed" || decide(input).state !== "empty") continue;
    // Only the selected log itself may drop it: the identifier or the prepare is void.
    ok(input.identifier === "void" || input.judgement === "void", JSON.stringify(input));
  }
});
