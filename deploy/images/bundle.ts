// Bundles each process into one file of dist/: replica.js, operator.js, edge.js; with the edge goes
// the web page, into dist/web. `npm run bundle -- [replica|operator|edge ...]`; without names, all.
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const entries: Readonly<Record<string, string>> = {
  replica: "replica/server/main.ts",
  operator: "operator/server/main.ts",
  edge: "edge/server/main.ts",
};

/** Bytes of the replica's bundle at most. */
const replicaBytesMax = 2 * 1024 * 1024;

// Bundled CommonJS packages call require; an ES module has none of its own.
const banner = [
  'import { createRequire as bundleCreateRequire } from "node:module";',
  "const require = bundleCreateRequire(import.meta.url);",
].join("\n");

/** Bundles one process into `directory`; returns the bytes of its file. */
export async function bundle(name: string, directory = join(root, "dist")): Promise<number> {
  const entry = entries[name];
  if (entry === undefined) throw new Error(`There is no process named ${name}.`);
  const outfile = join(directory, `${name}.js`);
  mkdirSync(dirname(outfile), { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: banner },
    // Switches of the simulator's mutation canaries leave the bundle with their branches.
    define: { MUTATIONS: "false" },
    minifySyntax: true,
    legalComments: "none",
    logLevel: "warning",
  });
  const bytes = statSync(outfile).size;
  if (name === "replica" && bytes > replicaBytesMax) {
    throw new Error(`dist/replica.js has ${bytes} bytes; at most ${replicaBytesMax} may ship.`);
  }
  return bytes;
}

/** Builds the page that edges serve into dist/web. */
export async function bundlePage(): Promise<void> {
  const vite = await import("vite");
  const configFile = join(root, "edge", "web", "vite.config.ts");
  await vite.build({ configFile, logLevel: "error" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2);
  const present = Object.keys(entries).filter((name) =>
    existsSync(join(root, entries[name] ?? "")),
  );
  for (const name of given.length > 0 ? given : present) {
    const bytes = await bundle(name);
    console.log(`dist/${name}.js ${Math.ceil(bytes / 1024)} KiB`);
    if (name !== "edge") continue;
    await bundlePage();
    console.log("dist/web");
  }
}
