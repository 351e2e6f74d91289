// Goal: what an edge gives out as proof holds without it. Method: real replicas and a real edge;
// the files are checked by the offline verifier, before and after the primary is killed.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  Chat,
  HistoryFork,
  KeyTrust,
  LogPin,
  verifyCheckpoint,
  verifyReceipt,
} from "@tigerchat/sdk";
import type { LogCheckpoint, PinnedCheckpoint, ProvenCheckpoint } from "@tigerchat/sdk";
import { verify } from "#operator/tigerctl/verify.ts";
import { TestShard } from "#test/support/test-shard.ts";
import { keyAt } from "./keys.ts";
import { SocketClient } from "./socket-client.ts";
import { TestEdge } from "./test-edge.ts";

let shard: TestShard;
let edge: TestEdge;
const folder = mkdtempSync(join(tmpdir(), "tigerchat-proofs-"));

before(async () => {
  shard = await TestShard.start();
  edge = await TestEdge.start(shard);
  assert.equal((await edge.call("POST", "/v1/rooms", { room: "lobby" })).status, 201);
});

after(async () => {
  rmSync(folder, { recursive: true });
  await edge?.stop("SIGKILL");
  await shard?.close();
});

async function post(index: number): Promise<void> {
  const body = { body: `message ${index}`, from: "ann" };
  const headers = { "idempotency-key": keyAt(Date.now()) };
  const { status } = await edge.call("POST", "/v1/rooms/lobby/events", body, headers);
  assert.equal(status, 201);
}

function get(path: string): Promise<Response> {
  return fetch(edge.url + path, { headers: { authorization: `Bearer ${edge.apiKey}` } });
}

/** Saves what a call gives and returns the file's path. */
async function save(path: string, name: string): Promise<string> {
  const response = await get(`/v1/rooms/lobby/${path}`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function said(...args: readonly string[]): Promise<string> {
  const { code, lines } = await verify([...args, "--key", join(folder, "keys")]);
  return `${code} ${lines.join("\n")}`;
}

/** Starts those that an earlier test killed. */
async function allRun(): Promise<void> {
  for (const replica of shard.replicas) if (!replica.running) replica.start();
  for (const index of [0, 1, 2]) await shard.waitForCaughtUp(index);
}

function getAudit(path: string): Promise<Response> {
  return fetch(`${edge.url}/v1/audit/${shard.config.shard}/${path}`, {
    headers: { authorization: `Bearer ${edge.apiKey}` },
  });
}

/** The audit log's export and the kinds of its lines, once all of these are among them. */
async function auditLog(wanted: readonly string[]): Promise<{ kinds: string[]; text: string }> {
  let kinds: string[] = [];
  let text = "";
  for (let round = 0; round < 100 && !wanted.every((each) => kinds.includes(each)); round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const response = await getAudit("export");
    text = await response.text();
    if (!response.ok) continue;
    const entries = text.split("\n").slice(1, -1);
    kinds = entries.map((line) => {
      const { entry } = JSON.parse(line) as { entry: string };
      const bytes = Buffer.from(entry, "base64").toString();
      return /"kind":"([a-z_0-9]+)"/.exec(bytes)?.[1] ?? "";
    });
  }
  return { kinds, text };
}

test("edge: receipt, export, consistency hold offline and through a failover", async () => {
  for (let i = 1; i <= 12; i += 1) await post(i);
  await save("keys", "keys");
  const startMs = performance.now();
  const receipt = await save("proof?seq=12", "12");
  assert.ok(performance.now() - startMs < 5_000);
  assert.match(await said("receipt", receipt), /^0 VERIFIED: entry 12 of 12 in room "lobby"/);
  const exported = await save("export", "export");
  assert.match(await said("export", exported), /^0 VERIFIED: entries 1-12 /);
  const seen = await save("checkpoint", "seen");
  const size = (await (await get("/v1/rooms/lobby/checkpoint")).text()).split("\n")[1];
  await shard.replicas[await shard.waitForPrimary()]?.signal("SIGKILL");
  for (let i = 13; i <= 20; i += 1) await post(i);
  const later = await save("proof?seq=20", "20");
  assert.match(await said("receipt", later, "--seen", seen), /^0 VERIFIED: entry 20 of 20/);
  const extended = await save(`consistency?from=${size}`, "consistency");
  assert.match(await said("consistency", extended, "--seen", seen), /^0 VERIFIED: /);
});

test("edge: the SDK takes what extends its pinned log, and refuses a fork", async () => {
  const keys = await (await get("/v1/rooms/lobby/keys")).text();
  const stored: PinnedCheckpoint[] = [];
  const chat = new Chat({ url: edge.socketUrl, getToken: (room) => edge.token(room, "ann") });
  const room = chat.room("lobby", { tail: 0 });
  const pin = new LogPin(keys, null, (pinned) => stored.push(pinned));
  const first = await room.checkHistory(pin);
  for (let i = 0; i < 60 && stored.length < 2; i += 1) {
    await post(100 + i);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await room.checkHistory(pin);
  }
  assert.ok((stored[1]?.size ?? 0) > first.size);
  // Another history of the same length, as somebody would have pinned it before the fork.
  const [old] = stored;
  assert.ok(old !== undefined);
  const other = { ...old, root: Buffer.alloc(32, 7).toString("base64") };
  const forked = new LogPin(keys, other);
  await assert.rejects(room.checkHistory(forked), (error: Error) => {
    return error instanceof HistoryFork && error.pinned === other && error.note.includes("lobby");
  });
  assert.equal(room.state, "stopped");
  chat.close();
});

test("edge: who follows a room is pushed signed checkpoints, and the SDK checks them", async () => {
  const keys = await (await get("/v1/rooms/lobby/keys")).text();
  const stranger = await SocketClient.open(edge.socketUrl);
  const token = await edge.token("lobby", "ann");
  const { rid } = await stranger.ask({ op: "attach", room: "lobby", token });
  const pushed: LogCheckpoint[] = [];
  const verified: ProvenCheckpoint[] = [];
  const chat = new Chat({ url: edge.socketUrl, getToken: (room) => edge.token(room, "ben") });
  const room = chat.room("lobby", {
    tail: 0,
    pin: new LogPin(keys),
    onCheckpoint: (checkpoint) => pushed.push(checkpoint),
    onVerified: (checkpoint) => verified.push(checkpoint),
  });
  await post(500);
  const frame = await stranger.next("ckpt");
  assert.equal(frame["rid"], rid);
  const note = String(frame["note"]);
  const proven = await verifyCheckpoint(note, keys);
  assert.deepEqual([frame["size"], frame["root"]], [proven.size, proven.root]);
  for (let i = 0; i < 100 && pushed.length + verified.length < 2; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(pushed.length === 1 && verified.length === 1);
  await verifyCheckpoint(pushed[0]?.note ?? "", keys);
  assert.equal(room.state, "live");
  chat.close();
  stranger.close();
});

test("edge: a checkpoint in hello is answered with the proof that the log extends it", async () => {
  writeFileSync(join(folder, "keys"), await (await get("/v1/rooms/lobby/keys")).text());
  const note = await (await get("/v1/rooms/lobby/checkpoint")).text();
  const [origin, size, root] = note.split("\n");
  await post(600);
  const seen = join(folder, "presented");
  writeFileSync(seen, note);
  const attached = async (ckpt: string) => {
    const client = await SocketClient.open(edge.socketUrl, { ckpt });
    const token = await edge.token("lobby", "ann");
    const { rid } = await client.ask({ op: "attach", room: "lobby", token });
    return { client, rid };
  };
  for (const ckpt of [note, `${origin}\n${size}\n${root}\n`]) {
    const { client, rid } = await attached(ckpt);
    // What is pushed to the whole room may come before it.
    let frame = await client.next("ckpt");
    while (frame["consistency"] === undefined) frame = await client.next("ckpt");
    assert.equal(frame["rid"], rid);
    const proof = join(folder, "presented-proof");
    writeFileSync(proof, String(frame["consistency"]));
    assert.match(await said("consistency", proof, "--seen", seen), /^0 VERIFIED: /);
    assert.ok(String(frame["consistency"]).endsWith(`\n\n${frame["note"]}`));
    client.close();
  }
  const other = `${origin?.replace("/lobby/", "/other/")}\n${size}\n${root}\n`;
  const longer = `${origin}\n${Number(size) + 10_000}\n${root}\n`;
  const open = await Promise.all([other, longer, "junk"].map(attached));
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  for (const { client } of open) {
    assert.ok(!client.texts.some((text) => text.includes("consistency")));
    client.close();
  }
});

test("edge: what has no proof is a problem with a sentence", async () => {
  for (const [path, status] of [
    ["proof?seq=999", 400],
    ["proof", 400],
    ["consistency", 400],
    ["consistency?from=999999", 400],
  ] as const) {
    const response = await get(`/v1/rooms/lobby/${path}`);
    assert.equal(response.status, status, path);
    assert.match(await response.text(), /"detail":"[A-Z][^"]*\."|"detail":"[a-z]+ is [^"]*\."/);
  }
  const nowhere = await get("/v1/rooms/nowhere/proof?seq=1");
  assert.equal(nowhere.status, 404);
});

test("edge: a shard's audit log is exported, proved offline, changes are found", async () => {
  const { length } = shard.replicas;
  // What the operator says twice is written once.
  const once = { key: keyAt(Date.now()).replaceAll("-", ""), kind: "operator_action" };
  const lines = [{ ...once, atUs: Date.now() * 1000, facts: { action: "Evict" } }];
  for (const admin of shard.admins) await admin.audit({ lines });
  const { kinds, text } = await auditLog(["view_change", "operator_action"]);
  assert.ok(kinds.filter((kind) => kind === "started").length >= length - 1, kinds.join());
  assert.ok(kinds.includes("view_change"), kinds.join());
  assert.equal(kinds.filter((kind) => kind === "operator_action").length, 1);
  writeFileSync(join(folder, "keys"), await (await getAudit("keys")).text());
  const file = join(folder, "audit");
  writeFileSync(file, text);
  assert.match(
    await said("export", file),
    /^0 VERIFIED: entries 1-[0-9]+ of room "audit" .*\naudit log from .* view_change [0-9]+/,
  );
  const line = text.split("\n")[1] ?? "";
  const { entry } = JSON.parse(line) as { entry: string };
  const bytes = Buffer.from(entry, "base64");
  bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
  writeFileSync(file, text.replace(entry, bytes.toString("base64")));
  assert.match(await said("export", file), /^1 REFUSED: Entry 1 was altered/);
  const stranger = await fetch(`${edge.url}/v1/audit/lobby/export`);
  assert.equal(stranger.status, 401);
  const nowhere = await fetch(`${edge.url}/v1/audit/nowhere/export`, {
    headers: { authorization: `Bearer ${edge.apiKey}` },
  });
  assert.equal(nowhere.status, 404);
});

test("edge: a receipt of before replacements verifies with the keys of after them", async () => {
  await allRun();
  const former = await save("proof?seq=1", "former");
  const keys = await (await get("/v1/rooms/lobby/keys")).text();
  const primary = await shard.waitForPrimary();
  const replaced = [1, 2].map((step) => (primary + step) % 3);
  for (const index of [...replaced, replaced[0] ?? 0]) {
    await shard.replace(index);
    await post(700 + index);
  }
  await save("keys", "keys");
  const told = await (await get("/v1/rooms/lobby/keys")).text();
  assert.equal(told.match(/^# ops [0-9]+-[0-9]+$/gm)?.length, 3, told);
  for (const key of keys.trim().split("\n")) assert.ok(told.includes(key), key);
  assert.match(await said("receipt", former), /^0 VERIFIED: entry 1 of/);
  await verifyReceipt(readFileSync(former, "utf8"), told);
  const later = await save("proof?seq=2", "later");
  assert.match(await said("receipt", later), /^0 VERIFIED: entry 2 of/);
  await verifyReceipt(readFileSync(later, "utf8"), told);
  writeFileSync(join(folder, "keys"), keys);
  assert.match(await said("receipt", later), /^1 REFUSED: /);
});

/** Checks the newest receipt of the lobby until `right` likes what comes of it. */
async function receiptUntil(trust: KeyTrust, right: (said: string) => boolean): Promise<string> {
  const served = async (path: string) => await (await get(`/v1/rooms/lobby/${path}`)).text();
  let outcome = "";
  for (let round = 0; round < 60; round += 1) {
    await post(2_000 + round);
    const { json } = await edge.call("GET", "/v1/rooms/lobby/head");
    const receipt = await served(`proof?seq=${Number(json["head"])}`);
    outcome = await trust
      .receipt(receipt, () => served("keys"))
      .then(
        ({ checkpoint }) => `signed by ${checkpoint.cosigners.join()}`,
        (error: Error) => `${error.constructor.name}: ${error.message}`,
      );
    if (right(outcome)) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return outcome;
}

test("edge: the SDK follows replacements while one of the first keys signs", async () => {
  await allRun();
  const chat = new Chat({ url: edge.socketUrl, getToken: (room) => edge.token(room, "ann") });
  const stored = new Map<string, { first: string; now: string }>();
  const trust = new KeyTrust(stored);
  const pin = new LogPin(trust);
  const room = chat.room("lobby", { tail: 0 });
  const { origin } = await room.checkHistory(pin);
  const first = stored.get(origin)?.first ?? "";
  const signed = (said: string) => said.startsWith("signed by ");
  const primary = await shard.waitForPrimary();
  const others = [1, 2].map((step) => (primary + step) % 3);
  for (const index of others) {
    await shard.replace(index);
    const byNew = (said: string) => signed(said) && said.includes(`/replica-${index}`);
    assert.match(await receiptUntil(trust, byNew), /^signed by /, `after ${index}`);
    const proven = await room.checkHistory(pin);
    assert.equal(proven.origin, origin);
  }
  const { first: same, now } = stored.get(origin) ?? {};
  assert.equal(same, first);
  assert.match(now ?? "", /^# ops [0-9]+-[0-9]+$/m);
  await shard.replace(primary);
  const refused = (said: string) => said.startsWith("KeysChanged: ");
  assert.match(await receiptUntil(trust, refused), /no signature by a key that was trusted first/);
  assert.equal(stored.get(origin)?.first, first);
  trust.forget(origin);
  assert.match(await receiptUntil(trust, signed), /^signed by /);
  assert.ok((await room.checkHistory(pin)).size > 0);
  chat.close();
});

test("edge: a line that waited through a kill is in the audit log, once", async () => {
  await allRun();
  for (const index of [1, 2]) await shard.replicas[index]?.signal("SIGKILL");
  const lines = [1, 2, 3].map((n) => {
    const key = keyAt(Date.now()).replaceAll("-", "");
    return { key, kind: `waited_${n}`, atUs: Date.now() * 1000, facts: { n } };
  });
  const taken = await shard.admins[0]?.audit({ lines });
  assert.equal(taken?.kind, "ok");
  await shard.replicas[0]?.signal("SIGKILL");
  await allRun();
  const waited = ["waited_1", "waited_2", "waited_3"];
  const { kinds, text } = await auditLog(waited);
  assert.deepEqual(
    kinds.filter((kind) => kind.startsWith("waited_")),
    waited,
    text.slice(0, 500),
  );
});
