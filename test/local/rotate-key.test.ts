// Goal: `npm start -- --rotate-key lobby-N` changes a replica's own key and keeps what there is:
// data, volume, receipts. Method: the real program, its HTTP API, and `npm run verify`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LocalFleet, type FleetFacts } from "../support/local-fleet.ts";
import { randomKey } from "../support/keys.ts";
import { rootFolder } from "../tidy/source.ts";

async function call(facts: FleetFacts, path: string, body?: object): Promise<Response> {
  const headers = {
    authorization: `Bearer ${readFileSync(facts.apiKeyFile, "utf8").trim()}`,
    "content-type": "application/json",
    "idempotency-key": randomKey(),
  };
  const content = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  return await fetch(`${facts.edges[0]}${path}`, { headers, ...content });
}

/** Asks until the answer is there: a receipt waits for the next signed checkpoint. */
async function textOf(facts: FleetFacts, path: string): Promise<string> {
  for (let left = 100; left > 0; left -= 1) {
    const answer = await call(facts, path);
    if (answer.ok) return await answer.text();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no answer: ${path}`);
}

function keyOf(facts: FleetFacts, name: string): string {
  return readFileSync(join(facts.data, "shards/lobby", name, "volume/keys/replica.key"), "utf8");
}

function verify(facts: FleetFacts, receipt: string, keys: string): string {
  const [file, keyFile] = [join(facts.data, "receipt"), join(facts.data, "verifier-keys")];
  writeFileSync(file, receipt);
  writeFileSync(keyFile, keys);
  const program = ["deploy/node.mjs", "operator/tigerctl/verify-main.ts"];
  const args = [...program, "receipt", file, "--key", keyFile];
  return execFileSync(process.execPath, args, { cwd: rootFolder, encoding: "utf8" });
}

test("local: a replica's own key changes by a command; receipts of before verify", async () => {
  let fleet = await LocalFleet.start();
  const room = "/v1/rooms/lobby";
  const post = (body: string) => call(fleet.facts, `${room}/events`, { body, from: "ann" });
  assert.ok((await post("before")).ok);
  const before = await textOf(fleet.facts, `${room}/proof?seq=1`);
  const names = ["lobby-0", "lobby-1", "lobby-2"];
  const first = names.map((name) => keyOf(fleet.facts, name));
  for (const name of names) {
    assert.equal(await fleet.stop({ keepData: true }), 0);
    fleet = await LocalFleet.start(["--rotate-key", name], fleet);
  }
  const { facts } = fleet;
  for (const [index, name] of names.entries()) {
    assert.notEqual(keyOf(facts, name), first[index]);
    const left = join(facts.data, "shards/lobby", name, "volume/keys/next.key");
    assert.equal(existsSync(left), false, "the former key is gone");
  }
  assert.ok((await post("after")).ok);
  const events = (await (await call(facts, `${room}/events?after=0&limit=10`)).json()) as {
    events: { body: string }[];
  };
  assert.deepEqual(
    events.events.map((event) => event.body),
    ["before", "after"],
  );
  const keys = await textOf(facts, `${room}/keys`);
  assert.match(keys, /^# ops [0-9]+-\n/m);
  assert.match(verify(facts, before, keys), /holds|verif/i);
  assert.match(verify(facts, await textOf(facts, `${room}/proof?seq=2`), keys), /holds|verif/i);
  assert.equal(await fleet.stop({ keepData: true }), 0);

  // A crash between the two moves that destroy the former key: the certificate is found again.
  const folder = join(facts.data, "shards/lobby/lobby-1/volume/keys");
  renameSync(join(folder, "replica.crt"), join(folder, "next.crt"));
  const last = await LocalFleet.start([], fleet);
  assert.ok((await call(last.facts, `${room}/events?after=0&limit=10`)).ok);
  assert.equal(await last.stop(), 0);
});

test("local: a replica that there is not has no key to change", async () => {
  await assert.rejects(
    LocalFleet.start(["--rotate-key", "nobody-1"]),
    /There is no replica nobody-1/,
  );
});
