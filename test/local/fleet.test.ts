// Goal: what `npm start` promises: data survives a restart, a killed run is cleaned up by the next,
// Ctrl-C leaves nothing behind, damage is named. Method: the real program and its HTTP API.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { randomKey } from "../support/keys.ts";
import { LocalFleet, type FleetFacts } from "../support/local-fleet.ts";

interface Posted {
  readonly seq: number;
  readonly dup?: boolean;
}

class Room {
  private readonly facts: FleetFacts;
  private readonly name: string;

  constructor(facts: FleetFacts, name: string) {
    this.facts = facts;
    this.name = name;
  }

  private async call(path: string, body?: object, key?: string): Promise<Response> {
    const headers = {
      authorization: `Bearer ${readFileSync(this.facts.apiKeyFile, "utf8").trim()}`,
      "content-type": "application/json",
      ...(key === undefined ? {} : { "idempotency-key": key }),
    };
    const url = `${this.facts.edges.at(-1)}${path}`;
    const content = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    return fetch(url, { headers, ...content });
  }

  async create(): Promise<void> {
    const answer = await this.call("/v1/rooms", { room: this.name });
    assert.ok(answer.ok, await answer.clone().text());
  }

  /** Posts until it is acknowledged; every repetition uses the same key, as clients do. */
  async post(body: string, key = randomKey()): Promise<Posted> {
    const deadlineMs = performance.now() + 15_000;
    for (;;) {
      const answer = await this.call(`/v1/rooms/${this.name}/events`, { body, from: "ann" }, key);
      if (answer.ok) return (await answer.json()) as Posted;
      const text = await answer.text();
      assert.ok(performance.now() < deadlineMs && /"retryable":true/.test(text), text);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async bodies(): Promise<readonly string[]> {
    const answer = await this.call(`/v1/rooms/${this.name}/events?after=0&limit=200`);
    const page = (await answer.json()) as { events: { seq: number; body: string }[] };
    assert.deepEqual(
      page.events.map((event) => event.seq),
      page.events.map((_, i) => i + 1),
    );
    return page.events.map((event) => event.body);
  }
}

function numbers(first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `message ${first + index}`);
}

test("local: data survives Ctrl-C, kill -9 of the run and kill -9 of every replica", async () => {
  const fleet = await LocalFleet.start();
  assert.ok(fleet.tookMs < 20_000, `ready after ${fleet.tookMs} ms`);
  const room = new Room(fleet.facts, "lobby");
  for (const body of numbers(1, 20)) await room.post(body);
  // The start upgrades the machine, beside all else.
  await fleet.runsVersion(2);
  const key = randomKey();
  const first = await room.post("message 21", key);
  const second = await room.post("message 21", key);
  assert.deepEqual([second.seq, second.dup, first.dup ?? false], [first.seq, true, false]);
  const left = Object.values(fleet.facts.pids);
  assert.equal(await fleet.stop({ keepData: true }), 0);
  assert.deepEqual(left.filter(isRunning), [], "Ctrl-C leaves no process");

  const next = await LocalFleet.start([], fleet);
  const again = new Room(next.facts, "lobby");
  assert.deepEqual(await again.bodies(), numbers(1, 21));
  for (const name of ["lobby-0", "lobby-1", "lobby-2"]) process.kill(next.pidOf(name), "SIGKILL");
  await again.post("message 22");
  assert.deepEqual(await again.bodies(), numbers(1, 22));
  await next.killRun();

  const third = await LocalFleet.start([], next);
  assert.deepEqual(Object.values(next.facts.pids).filter(isRunning), []);
  assert.deepEqual(await new Room(third.facts, "lobby").bodies(), numbers(1, 22));
  assert.equal(await third.stop(), 0);
});

test("local: one damaged volume leaves two that serve; two are refused by name", async () => {
  const fleet = await LocalFleet.start();
  await new Room(fleet.facts, "lobby").post("message 1");
  await fleet.stop({ keepData: true });
  damage(fleet.facts, "lobby-1");
  const onTwo = await LocalFleet.start([], fleet);
  assert.deepEqual(await new Room(onTwo.facts, "lobby").bodies(), ["message 1"]);
  assert.equal(await onTwo.stop({ keepData: true }), 0);
  damage(fleet.facts, "lobby-2");
  await assert.rejects(LocalFleet.start([], onTwo), /lobby-1 does not start: superblock.*lobby-2/s);
  onTwo.discard();
});

function damage(facts: FleetFacts, name: string): void {
  const file = join(facts.data, "shards", "lobby", name, "volume", "superblock");
  writeFileSync(file, Buffer.alloc(statSync(file).size, 0xa5));
}

test("local: each small file lost or damaged is one sentence, or mends itself", async () => {
  const fleet = await LocalFleet.start();
  await new Room(fleet.facts, "lobby").post("message 1");
  await fleet.stop({ keepData: true });
  const { data } = fleet.facts;
  const kept = `${data}-kept`;
  cpSync(data, kept, { recursive: true });
  const volume = (name: string) => join(data, "shards", "lobby", name, "volume");
  const key = (name: string) => join(volume(name), "keys", "replica.key");
  const junk = (file: string) => writeFileSync(file, Buffer.alloc(100, 0xa5));
  const kek = join(data, "shards", "lobby", "kek");
  const cases: readonly [string, () => void, RegExp][] = [
    [
      "keys gone or junk",
      () => {
        rmSync(key("lobby-1"));
        junk(key("lobby-2"));
      },
      /lobby-1 does not start: .*replica\.key is missing.*lobby-2 does not start: .*is damaged/,
    ],
    [
      "keys/ gone",
      () => {
        rmSync(join(volume("lobby-0"), "keys"), { recursive: true });
        rmSync(join(volume("lobby-1"), "keys"), { recursive: true });
      },
      /lobby-0 does not start: .*replica\.key is missing from a formatted volume; replace/,
    ],
    [
      "another kek",
      () => writeFileSync(kek, "0".repeat(64)),
      /The key-encryption key in .* is not the one that wrapped .*data-keys/,
    ],
    ["no kek", () => rmSync(kek), /kek is missing; restore it from a backup/],
    ["junk kek", () => junk(kek), /kek is damaged: it must hold 64 hex digits\. Restore/],
    [
      "another API key",
      () => writeFileSync(join(data, "edge", "api-key"), "tck_another\n"),
      /api-key is not the key whose hash api-keys\.json beside it has; restore/,
    ],
    [
      "junk token keys",
      () => junk(join(data, "edge", "jwt.json")),
      /edge-1 does not start: The token keys .*jwt\.json are malformed/,
    ],
  ];
  for (const [what, harm, sentence] of cases) {
    harm();
    const refused = await LocalFleet.start([], fleet).then(
      (started) => assert.fail(`${what}: ${JSON.stringify(started.facts)}`),
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );
    assert.match(refused, sentence, what);
    assert.match(refused, /ended with 1 /, what);
    const [, ...lines] = refused.trim().split("\n");
    assert.equal(lines.length, 1, refused);
    rmSync(data, { recursive: true });
    cpSync(kept, data, { recursive: true });
  }
  junk(join(volume("lobby-1"), "keys", "replica.crt"));
  const mended = await LocalFleet.start([], fleet);
  assert.deepEqual(await new Room(mended.facts, "lobby").bodies(), ["message 1"]);
  assert.equal(await mended.stop(), 0);
});

test("local: Ctrl-C at any moment of a start ends it, leaves and harms nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tigerchat-interrupted-"));
  try {
    for (const afterMs of [800, 1_600, 2_600, 4_000]) {
      const { code, text, left } = await LocalFleet.interrupt(folder, afterMs);
      assert.equal(left, false, `after ${afterMs} ms: ${text}`);
      // Node itself was still starting: the signal ended it, nothing had begun.
      if (text === "") continue;
      assert.match(text.trimEnd(), /Stopping\.$/, `after ${afterMs} ms: ${text}`);
      assert.equal(code, 0, `after ${afterMs} ms: ${text}`);
      assert.doesNotMatch(text, /Error|\.ts:/);
    }
    const { code, text } = await LocalFleet.interrupt(folder, 15_000);
    assert.match(text, /TigerChat runs: 1 shard/);
    assert.equal(code, 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("local: two shards and two edges serve one fleet", async () => {
  const fleet = await LocalFleet.start(["--shards", "2", "--edges", "2"]);
  assert.deepEqual(fleet.facts.shards, ["lobby", "lobby-2"]);
  for (let index = 0; index < 8; index += 1) {
    const room = new Room(fleet.facts, `room-${index}`);
    await room.create();
    await room.post("message 1");
    assert.deepEqual(await room.bodies(), ["message 1"]);
  }
  assert.equal(await fleet.stop(), 0);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
