// A sample of `npm run test:model`: the model finds faults that were put into the machine.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runsUntilFound } from "./broken-machine.ts";
import { mutants } from "./mutants.ts";

const runsMax = 200;
const step = 9;

for (const [number, mutant] of mutants.entries()) {
  if (number % step !== 3 || mutant.harmless) continue;
  test(`model: it is found that ${mutant.name}`, async () => {
    assert.notEqual(await runsUntilFound(number, runsMax), null);
  });
}
