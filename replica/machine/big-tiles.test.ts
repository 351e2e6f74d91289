// Receipts of a room so large that its tree is known by tiles of tiles: before, at and behind the
// ends of such a tile, from memory, from disk and after a restart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256Into } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import { formatReceipt, verifyReceipt } from "#replica/proof/receipt.ts";
import { MemoryShard } from "#test/support/memory-shard.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { signedCheckpoint, verifierKeys } from "#test/support/proof-samples.ts";
import { BigTiles, bigTileLeaves } from "./big-tiles.ts";
import type { LedgerHead } from "./ledger.ts";
import type { LoadedBlock } from "./port.ts";
import type { Prover } from "./prover.ts";

type Step = ReturnType<Prover["receipt"]>;

const startMs = 1_800_000_000_000;
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 1, max: 1_000_000 },
  roomsMax: 10,
  seed: new Uint8Array(16).fill(9),
};
const name = { tenant: "t", room: "r" };
const policy = { keys: verifierKeys(), cosignersMin: 2 };

/** One room, filled to any size; the last head. */
class LargeRoom {
  readonly shard = new MemoryShard(genesis, { proofs: sha256Into, cacheBytes: 1e9 });
  size = 0;
  head: LedgerHead | null = null;
  private timeUs = startMs * 1000;

  fill(size: number): void {
    while (this.size < size) {
      const operations = this.size === 0 ? [createRoom(name.room)] : [];
      for (let i = Math.min(1_000, size - this.size); i > 0; i -= 1) {
        this.size += 1;
        const key = uuidv7(startMs, this.size);
        operations.push(post({ room: name.room, sender: "ann", key, body: "" }));
      }
      this.commit(operations);
    }
    this.timeUs += 1_000_000;
    this.commit([]);
    this.shard.hashTrees();
    this.head = this.shard.machine.ledger?.drainHeads().at(-1) ?? null;
  }

  checkpoint(): void {
    this.shard.freeze();
    this.shard.hashTrees();
    this.shard.writeCheckpoint();
  }

  private commit(operations: Parameters<typeof requestOf>[0]): void {
    this.timeUs += 10;
    const requests = operations.length > 0 ? [requestOf(operations)] : [];
    this.shard.commit(prepareOf(this.shard.machine.op + 1, this.timeUs, requests));
  }

  /** Proves an entry and has the receipt judged; the runs that it took. */
  prove(seq: number): { readonly loads: number; readonly mores: number } {
    const { head, shard } = this;
    assert.ok(head !== null);
    const loaded: LoadedBlock[] = [];
    const runs = { loads: 0, mores: 0 };
    for (let run = 0; run < 50; run += 1) {
      const prover: Prover | null = shard.machine.prover(loaded);
      const step: Step | undefined = prover?.receipt(name, seq, head.size);
      assert.ok(step !== undefined);
      if (step.kind === "load") {
        runs.loads += 1;
        const blocks = shard.load(step.addresses);
        for (const [i, address] of step.addresses.entries()) {
          loaded.push({ address, bytes: blocks[i] ?? new Uint8Array(0) });
        }
      } else if (step.kind === "more") runs.mores += 1;
      else {
        assert.ok(step.kind === "done", `entry ${seq} of ${this.size}: ${step.kind}`);
        const checkpoint = signedCheckpoint(head.size, head.root);
        const judged = verifyReceipt(
          proofCrypto,
          formatReceipt({ ...step.value, checkpoint }),
          policy,
        );
        assert.ok(judged.ok, `entry ${seq} of ${this.size}: ${judged.ok ? "" : judged.reason}`);
        assert.equal(judged.value.roomSize, this.size);
        return runs;
      }
    }
    throw new Error("a proof ends after some runs");
  }
}

test("proofs: receipts at the ends of a tile of tiles are those of the tree (MCH-22)", () => {
  const room = new LargeRoom();
  for (const size of [-1, 0, 1, 257].map((more) => bigTileLeaves + more)) {
    room.fill(size);
    for (const seq of [1, 256, 257, 65_280, 65_281, size - 1, size]) room.prove(seq);
  }
  room.fill(2 * bigTileLeaves + 1);
  const { ledger } = room.shard.machine;
  assert.ok(ledger !== null);
  // One tile of tiles at a time: the first proof of the newest entry needs two turns.
  ledger.bigTiles.clear();
  ledger.bigTiles.atOnceMax = 1;
  assert.deepEqual(room.prove(room.size), { loads: 0, mores: 1 });
  assert.deepEqual(room.prove(room.size), { loads: 0, mores: 0 });
  room.checkpoint();
  room.shard.restart();
  const fromDisk = room.prove(room.size);
  assert.ok(fromDisk.loads > 0 && fromDisk.loads < 8, `${fromDisk.loads} loads`);
  assert.equal(room.prove(room.size).mores, 0);
});

test("proofs: roots of tiles of tiles are forgotten, the oldest first, when there are many", () => {
  const tiles = new BigTiles();
  const root = new Uint8Array(32);
  for (let number = 0; number <= 1 << 16; number += 1) tiles.set(number % 3, number, root);
  assert.equal(tiles.get(0, 0), null);
  assert.equal(tiles.get(1, 1), root);
  assert.equal(tiles.get(2, 1), null, "another room's");
  tiles.clear();
  assert.equal(tiles.get(1, 1), null);
});
