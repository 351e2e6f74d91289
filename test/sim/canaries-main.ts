import { canaries, canarySeedsMax, findCanary } from "./canaries.ts";

let missed = 0;
for (const id of process.argv.length > 2 ? process.argv.slice(2) : canaries) {
  const found = findCanary(id, canarySeedsMax);
  if (found === null) missed += 1;
  const text = found === null ? "NOT FOUND" : `seed ${found.seed}: ${found.why.slice(0, 110)}`;
  process.stdout.write(`${id.padEnd(28)} ${text}\n`);
}
process.stdout.write(`${missed} of the canaries were not found\n`);
process.exitCode = missed === 0 ? 0 : 1;
