import { canaries, canarySeedsMax, findCanary, findUnitCanary, unitCanaries } from "./canaries.ts";
import { refuse } from "#test/support/tool-flags.ts";

let missed = 0;
const wished = process.argv.slice(2);
const all = [...canaries, ...unitCanaries.map(({ id }) => id)];
const unknown = wished.find((id) => !all.includes(id));
if (unknown !== undefined) refuse(`There is no canary ${unknown}, but ${all.join(", ")}.`);
for (const canary of unitCanaries) {
  if (wished.length > 0 && !wished.includes(canary.id)) continue;
  const found = findUnitCanary(canary);
  if (!found) missed += 1;
  process.stdout.write(`${canary.id.padEnd(28)} ${found ? canary.test : "NOT FOUND"}\n`);
}
const unit = new Set(unitCanaries.map(({ id }) => id));
for (const id of wished.length > 0 ? wished.filter((each) => !unit.has(each)) : canaries) {
  const found = findCanary(id, canarySeedsMax);
  if (found === null) missed += 1;
  const text = found === null ? "NOT FOUND" : `seed ${found.seed}: ${found.why.slice(0, 110)}`;
  process.stdout.write(`${id.padEnd(28)} ${text}\n`);
}
process.stdout.write(`${missed} of the canaries were not found\n`);
process.exitCode = missed === 0 ? 0 : 1;
