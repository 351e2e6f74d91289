// Goal: what a person did wrong is one sentence and exit code 1, before any process is started.
// Method: the real program with wrong flags, ports, manifests and directories.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readManifest } from "./manifest.ts";
import { Refusal } from "./refusal.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-refusals-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function start(...args: readonly string[]): { code: number | null; text: string } {
  const main = join(dirname(fileURLToPath(import.meta.url)), "main.ts");
  const done = spawnSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 20_000 });
  return { code: done.status, text: (done.stdout + done.stderr).trim() };
}

function assertRefused(done: { code: number | null; text: string }, what: RegExp): void {
  assert.equal(done.code, 1, done.text);
  assert.match(done.text, what);
  assert.equal(done.text.split("\n").length, 1, done.text);
}

function manifest(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

test("local: wrong flags are refused and --help explains all of them", () => {
  assertRefused(start("--shards", "0"), /whole number from 1 to 8/);
  assertRefused(start("--prot", "1"), /unknown option '--prot'/);
  const help = start("--help");
  assert.equal(help.code, 0);
  for (const flag of ["--shards", "--edges", "--data", "--port", "--manifest", "--json"]) {
    assert.match(help.text, new RegExp(flag));
  }
});

test("local: a port in use is named, with what to do", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const done = start("--port", String(port), "--data", join(folder, "port"));
  server.close();
  assertRefused(done, new RegExp(`Port ${port} is in use; name another with --port`));
});

test("local: a bad manifest is refused with file and fault", () => {
  const data = ["--port", "0", "--data", join(folder, "manifest")];
  const missing = join(folder, "missing.yaml");
  assertRefused(start(...data, "--manifest", missing), /missing\.yaml cannot be read \(ENOENT\)/);
  const kind = "apiVersion: tigerchat.dev/v1alpha1\nkind: RoomShard\n";
  const head = `${kind}metadata: {name: lobby}\n`;
  const cases: readonly [string, RegExp][] = [
    ["a: [", /is not YAML/],
    ["", /must be an object/],
    ["[1, 2]", /must be an object/],
    ["kind: Deployment\n", /must have apiVersion tigerchat\.dev\/v1alpha1 and kind RoomShard/],
    [`${kind}metadata: {name: Not_A_Name}\nspec: {}\n`, /metadata\.name: .*at most 40 characters/],
    [`${head}---\n${head}`, /multiple documents/],
    [`${head}spec: {colour: red}\n`, /spec\.colour is not a known field/],
    [`${head}spec: {replicas: 5}\n`, /spec\.replicas must be/],
    [`${head}spec: {storage: {walSize: lots}}\n`, /walSize must be a size such as/],
    [`${head}spec: {storage: {walSize: 1Ki}}\n`, /walSize must be at least 32Mi/],
    [`${head}spec: {initialSlots: {first: 4000, count: 200}}\n`, /first \+ count <= 4096/],
    [`${head}spec: {timing: {heartbeatMs: 50, suspectMs: 100}}\n`, /suspectMs/],
  ];
  for (const [text, fault] of cases) {
    const file = manifest("bad.yaml", text);
    assert.throws(
      () => readManifest(file),
      (error: unknown) => {
        assert.ok(error instanceof Refusal, String(error));
        assert.match(error.message, /^The manifest .*bad\.yaml is /);
        assert.match(error.message, fault);
        return true;
      },
    );
  }
  const five = manifest("five.yaml", `${head}spec: {replicas: 5}\n`);
  assertRefused(start(...data, "--manifest", five), /five\.yaml is refused: .*replicas/);
});

test("local: a lost CA key or key-encryption key is named and never made anew", () => {
  const data = mkdtempSync(join(folder, "lost-"));
  const fleet = { format: 1, cluster: "0".repeat(32), shards: 1 };
  writeFileSync(join(data, "tigerchat-local.json"), JSON.stringify(fleet));
  mkdirSync(join(data, "shards", "lobby"), { recursive: true });
  writeFileSync(join(data, "shards", "lobby", "replica.json"), "{}");
  assertRefused(start("--port", "0", "--data", data), /ca\.key is missing; restore it/);
  assert.equal(readdirSync(join(data, "shards", "lobby")).includes("kek"), false);
});

test("local: a foreign directory is left alone", () => {
  const foreign = mkdtempSync(join(folder, "foreign-"));
  writeFileSync(join(foreign, "thesis.txt"), "mine");
  assertRefused(start("--port", "0", "--data", foreign), /was not made by this program/);
  assert.deepEqual(readdirSync(foreign), ["thesis.txt"]);
});
