// Judges the judge: breaks the machine in each listed place and says after how many histories the
// model noticed. `npm run test:model`; with a number: that fault only.
import { numberFlag } from "#test/support/tool-flags.ts";
import { runsUntilFound } from "./broken-machine.ts";
import { mutants } from "./mutants.ts";

const runsMax = 1000;
const harmlessRuns = 200;
const last = mutants.length - 1;
const chosen = process.argv.slice(2).map((text) => {
  return numberFlag("A fault", text, 0, { min: 0, max: last });
});
let missed = 0;
for (const [number, mutant] of mutants.entries()) {
  if (chosen.length > 0 && !chosen.includes(number)) continue;
  const runs = await runsUntilFound(number, mutant.harmless ? harmlessRuns : runsMax);
  const right = mutant.harmless ? runs === null : runs !== null;
  if (!right) missed += 1;
  const after = runs === null ? `not found by ${runsMax}` : `after ${runs}`;
  console.log(`${right ? "ok  " : "FAIL"} ${number} ${after}: ${mutant.name}`);
}
console.log(`${mutants.length} faults, ${missed} judged wrongly`);
process.exitCode = missed === 0 ? 0 : 1;
