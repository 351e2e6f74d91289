// The operator's process.
import { flagsFrom, usage } from "./flags.ts";
import { Operator } from "./operator.ts";

const args = process.argv.slice(2);
if (args.includes("--help")) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}
const flags = flagsFrom(args);
if (!flags.ok) {
  process.stderr.write(`${flags.why}\n${usage}\n`);
  process.exit(1);
}
const operator = new Operator(flags.value);
let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    operator.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
const end = await operator.run();
// A lost lease means that another process acts now: nothing half done may go on here.
if (!stopping) process.exit(end === "lost" ? 2 : 0);
