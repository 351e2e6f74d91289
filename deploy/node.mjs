// Starts a script under the Node that package-lock.json pins, whatever Node runs this file.
// npm 10.8 to 11.5 link no `node` into node_modules/.bin when two platform packages claim that name.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const platform = `${process.platform}-${process.arch}`;
const names = [`node-${platform}`, `node-bin-${platform}`];
const found = names
  .map((name) => join(root, "node_modules", name, "bin", "node"))
  .find((path) => existsSync(path));
if (found === undefined) {
  console.error(
    `No pinned Node for ${platform} in node_modules. Run: npm ci (with optional packages).`,
  );
  process.exit(1);
}
const env = { ...process.env, PATH: dirname(found) + delimiter + (process.env.PATH ?? "") };
const tsx = ["--import", join(root, "node_modules", "tsx", "dist", "esm", "index.mjs")];
const child = spawn(found, [...tsx, ...process.argv.slice(2)], { stdio: "inherit", env });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`Cannot start ${found}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  process.exitCode = signal === null ? code : 128 + (constants.signals[signal] ?? 0);
});
