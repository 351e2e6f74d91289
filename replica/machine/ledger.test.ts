// Trees of rooms and the shard's log, made from random histories with checkpoints, merges and
// restarts at any moment: judged by trees that are built here from the entries alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { opFrom, seqFrom } from "#replica/base/brands.ts";
import { sha256Bytes, sha256Into } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import { Frontier } from "#replica/proof/frontier.ts";
import { verifyConsistency } from "#replica/proof/merkle.ts";
import type { Receipt } from "#replica/proof/receipt.ts";
import { entryLeaf, formatReceipt, verifyReceipt } from "#replica/proof/receipt.ts";
import { decodeEntries, encodeEntry } from "#replica/wire/entry.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { MemoryShard } from "#test/support/memory-shard.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import type { Operation } from "#test/support/prepares.ts";
import { signedCheckpoint, verifierKeys } from "#test/support/proof-samples.ts";
import type { LedgerHead } from "./ledger.ts";
import type { LoadedBlock, MachineGenesis } from "./port.ts";
import type { Prover, ProveStep } from "./prover.ts";

type Proven<T> = Exclude<ProveStep<T>, { kind: "load" | "more" }>;

const startMs = 1_800_000_000_000;
const genesis: MachineGenesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 24, max: 1_000_000 },
  roomsMax: 10_000,
  seed: new Uint8Array(16).fill(9),
};
/** A signature is checked once: many receipts stand under one checkpoint. */
const checked = new Map<string, boolean>();
const tools = {
  sha256: sha256Bytes,
  verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
    const id = [key, message, signature].map((one) => Buffer.from(one).toString("hex")).join();
    const right = checked.get(id) ?? proofCrypto.verify(key, message, signature);
    checked.set(id, right);
    return right;
  },
};
const policy = { keys: verifierKeys(), cosignersMin: 2 };
const chunkBytes = 32 * 1024;

/** A shard whose machine keeps trees. */
class LedgerShard extends MemoryShard {
  /** Heads that were given for signing. */
  readonly heads: LedgerHead[] = [];
  /** Times that a proof needed another turn. */
  mores = 0;
  timeUs = startMs * 1000;

  constructor() {
    super(genesis, { proofs: sha256Into, cacheBytes: 0, chunkBytes });
  }

  run(stepUs: number, ...operations: Operation[]): void {
    this.timeUs += stepUs;
    const requests = operations.length > 0 ? [requestOf(operations)] : [];
    this.commit(prepareOf(this.machine.op + 1, this.timeUs, requests));
  }

  /** At most so many jobs of hashing; true when nothing is left. */
  hash(jobs = Number.POSITIVE_INFINITY, entriesMax = 16): boolean {
    const ended = this.hashTrees(jobs, entriesMax);
    this.heads.push(...(this.machine.ledger?.drainHeads() ?? []));
    return ended;
  }

  checkpointWithTrees(): void {
    this.freeze();
    this.hash();
    this.writeCheckpoint();
  }

  prove<T>(make: (prover: Prover) => ProveStep<T>): Proven<T> {
    const loaded: LoadedBlock[] = [];
    for (let round = 0; round < 20; round += 1) {
      const prover = this.machine.prover(loaded);
      assert.ok(prover);
      const step = make(prover);
      if (step.kind === "more") this.mores += 1;
      if (step.kind === "more") continue;
      if (step.kind !== "load") return step;
      const blocks = this.load(step.addresses);
      step.addresses.forEach((address, i) => {
        loaded.push({ address, bytes: blocks[i] ?? new Uint8Array(0) });
      });
    }
    throw new Error("a proof ends after a few loads");
  }

  receipt(name: RoomName, seq: number, size: number): Proven<Omit<Receipt, "checkpoint">> {
    return this.prove((prover) => prover.receipt(name, seq, size));
  }

  /** Of a room by number; runs until all its blocks are there. */
  frontier(room: number, size: number): Uint8Array {
    let frontier = new Uint8Array(0);
    const ended = this.prove((prover) => {
      frontier = Uint8Array.from(prover.frontier(room, size));
      return prover.root(0);
    });
    assert.ok(ended.kind === "done");
    return frontier;
  }

  extension(older: number, newer: number): Proven<readonly Uint8Array[]> {
    return this.prove((prover) => prover.consistency(older, newer));
  }
}

function say(room: string, tail: number, body = `message ${tail}`): Operation {
  return post({ room, sender: tail % 2 === 0 ? "ann" : "bob", key: uuidv7(startMs, tail), body });
}

function entriesOf(shard: MemoryShard, name: RoomName): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (;;) {
    const after = { kind: "after", seq: seqFrom(entries.length), limit: 200 } as const;
    const page = decodeEntries(shard.read(name, after).entries, 200);
    assert.ok(page);
    if (page.length === 0) return entries;
    entries.push(...page.map(encodeEntry));
  }
}

/** Entries of a room have receipts under the last head: its tree is that of the entries. */
function assertReceipts(shard: LedgerShard, room: string, every: number): void {
  const name = { tenant: "t", room };
  const head = shard.heads.at(-1);
  assert.ok(head);
  const checkpoint = signedCheckpoint(head.size, head.root);
  const entries = entriesOf(shard, name);
  for (let seq = 1; seq <= entries.length; seq += every) {
    const step = shard.receipt(name, seq, head.size);
    assert.ok(step.kind === "done", `entry ${seq} of ${room}: ${step.kind}`);
    const verified = verifyReceipt(tools, formatReceipt({ ...step.value, checkpoint }), policy);
    assert.ok(verified.ok, `entry ${seq} of ${room}: ${verified.ok ? "" : verified.reason}`);
    assert.equal(verified.value.roomSize, entries.length);
    assert.deepEqual(Buffer.from(step.value.entry), Buffer.from(entries[seq - 1] ?? []));
  }
}

test("ledger: every entry has a receipt as soon as its second is over and hashed", () => {
  const shard = new LedgerShard();
  shard.run(1, createRoom("a"), createRoom("b"));
  for (let i = 0; i < 40; i += 1) shard.run(100_000, say("a", 2 * i), say("b", 2 * i + 1));
  shard.run(1_000_000);
  assert.ok(!shard.hash(1));
  assert.ok(shard.hash());
  assertReceipts(shard, "a", 1);
  assertReceipts(shard, "b", 7);
  const none = shard.prove((prover) => prover.receipt({ tenant: "t", room: "a" }, 41, 99));
  assert.deepEqual(none, { kind: "no_entry" });
  shard.run(1, say("a", 1000));
  const early = shard.prove((prover) => prover.receipt({ tenant: "t", room: "a" }, 41, 99));
  assert.deepEqual(early, { kind: "pending" });
});

test("ledger: tiles of a long room are read from segments after a restart", () => {
  const shard = new LedgerShard();
  shard.run(1, createRoom("long"));
  for (let tail = 0; tail < 1200; ) {
    const batch = Array.from({ length: 100 }, () => {
      tail += 1;
      return say("long", tail);
    });
    shard.run(400_000, ...batch);
    if (tail % 300 === 0) shard.checkpointWithTrees();
  }
  shard.restart();
  shard.run(1_000_000);
  shard.hash();
  assertReceipts(shard, "long", 97);
  const leaves = entriesOf(shard, { tenant: "t", room: "long" }).map((entry) => {
    return entryLeaf(proofCrypto, { tenant: "t", room: "long" }, entry);
  });
  for (const size of [0, 1, 256, 512, 768, 1000]) {
    const wanted = Frontier.empty(sha256Bytes);
    for (const leaf of leaves.slice(0, size)) wanted.append(leaf);
    const frontier = shard.frontier(0, size);
    assert.deepEqual(Buffer.from(frontier), Buffer.from(wanted.encode()), `${size}`);
  }
  shard.run(1_000_000, say("long", 5000));
  shard.run(1_000_000);
  shard.hash();
  assertReceipts(shard, "long", 191);
});

test("ledger: histories with checkpoints, merges and restarts give one log, never a fork", () => {
  for (let seed = 1; seed <= 3; seed += 1) {
    const prng = new Prng(seed);
    // The second shard hashes late, in other slices, and restarts at other moments.
    const shards = [new LedgerShard(), new LedgerShard()];
    for (const shard of shards) shard.run(1, ...rooms(9));
    for (let turn = 1; turn <= 300; turn += 1) {
      const stepUs = prng.below(700_000) + 1;
      const posts = Array.from({ length: prng.below(4) }, (_, i) => {
        return say(`room ${prng.below(9)}`, turn * 8 + i);
      });
      const restart = prng.below(3);
      shards.forEach((shard, which) => {
        shard.run(stepUs, ...posts);
        if (which === 0) shard.hash();
        if (turn % 25 !== 0) return;
        shard.checkpointWithTrees();
        if (turn % 50 === 0) shard.mergeAll();
        if (restart === which) shard.restart();
      });
      const [one, two] = shards;
      if (turn % 25 === 0) assert.equal(one?.root, two?.root, "equal checkpoints");
    }
    for (const shard of shards) {
      shard.run(1_000_000);
      shard.hash();
      for (let room = 0; room < 9; room += 1) assertReceipts(shard, `room ${room}`, 11);
    }
    const [one, two] = shards;
    assert.ok(one && two);
    assert.deepEqual(one.heads.at(-1), two.heads.at(-1));
    assertExtends(two);
  }
});

function rooms(count: number): Operation[] {
  return Array.from({ length: count }, (_, i) => createRoom(`room ${i}`));
}

/** Each head extends each older one, by proofs that the shard makes now. */
function assertExtends(shard: LedgerShard): void {
  const heads = shard.heads;
  const newest = heads.at(-1);
  assert.ok(newest && heads.length > 10);
  for (const older of heads) {
    const step = shard.extension(older.size, newest.size);
    assert.ok(step.kind === "done");
    const extended = verifyConsistency(sha256Bytes, older, newest, step.value);
    assert.ok(extended, `${older.size}`);
    const root = shard.prove((prover) => prover.root(older.size));
    assert.ok(root.kind === "done");
    assert.deepEqual(Buffer.from(root.value), Buffer.from(older.root));
  }
}

test("ledger: entries stay in memory until they are hashed, and leave it then", () => {
  const shard = new LedgerShard();
  shard.run(1, createRoom("a"));
  const big = "x".repeat(8000);
  for (let i = 1; i <= 40; i += 1) shard.run(10, say("a", i, big));
  shard.freeze();
  shard.run(1, say("a", 41));
  const before = shard.machine.memoryBytes;
  shard.hash();
  shard.writeCheckpoint();
  shard.run(1, say("a", 42));
  assert.ok(shard.machine.memoryBytes < before);
  shard.run(1_000_000);
  shard.hash();
  assertReceipts(shard, "a", 1);
  assert.equal(shard.machine.op, opFrom(44));
});
