// Jobs done by a real thread, which reads the machine's entries where they lie.
import { deepStrictEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { workerData } from "node:worker_threads";
import { sha256Into } from "#replica/crypto/hash.ts";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import type { TreeJob, TreeResult } from "#replica/machine/tree-job.ts";
import { MemoryShard } from "#test/support/memory-shard.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { serveTrees, TreeThread, treeThreadRole } from "./tree-thread.ts";

const startMs = 1_800_000_000_000;
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 24, max: 1_000_000 },
  roomsMax: 1_000,
  seed: new Uint8Array(16).fill(7),
};

class Filled extends MemoryShard {
  private timeUs = startMs * 1000;
  private posts = 0;

  constructor() {
    super(genesis, { proofs: sha256Into, cacheBytes: 0 });
    const rooms = Array.from({ length: 20 }, (_, i) => createRoom(`room ${i}`));
    this.commit(prepareOf(1, this.timeUs, [requestOf(rooms)]));
  }

  /** Some posts, and the end of their second. */
  fill(count: number): void {
    for (let i = 0; i < count; i += 1) {
      this.posts += 1;
      const room = `room ${(this.posts * this.posts) % 20}`;
      const body = "x".repeat(1 + (this.posts % 1500));
      const key = uuidv7(startMs, this.posts);
      this.run([post({ room, sender: "ann", key, body })], 10);
    }
    this.run([], 1_000_000);
  }

  private run(operations: Parameters<typeof requestOf>[0], stepUs: number): void {
    this.timeUs += stepUs;
    const requests = operations.length > 0 ? [requestOf(operations)] : [];
    this.commit(prepareOf(this.machine.op + 1, this.timeUs, requests));
  }

  /** The next job, of so many entries at most; null = nothing is left. */
  job(entriesMax: number): TreeJob | null {
    const step = this.machine.ledger?.step(entriesMax);
    ok(step !== undefined && step.kind !== "load");
    return step.kind === "hash" ? step.job : null;
  }
}

async function sameAsHere(): Promise<void> {
  const shard = new Filled();
  const thread = new TreeThread(fileURLToPath(import.meta.url));
  const here = new TreeHasher(treeHashes);
  let jobs = 0;
  for (let round = 0; round < 3; round += 1) {
    shard.fill(400);
    for (let job = shard.job(150); job !== null; job = shard.job(150)) {
      const given = job;
      const result = await new Promise<TreeResult>((done) => thread.hash(given, done));
      deepStrictEqual(result, here.run(job));
      shard.machine.ledger?.hashed(result);
      jobs += 1;
    }
  }
  ok(jobs > 6, `${jobs} jobs`);
  ok((shard.machine.ledger?.drainHeads().length ?? 0) > 0);
}

async function inOrder(): Promise<void> {
  // As after a state sync: the job of before is still under way when the next one is given.
  const shards = [new Filled(), new Filled()];
  const thread = new TreeThread(fileURLToPath(import.meta.url));
  const order: string[] = [];
  const both = shards.map((shard, i) => {
    shard.fill(300);
    const job = shard.job(100);
    ok(job !== null);
    return new Promise<void>((done) => {
      thread.hash(job, (result) => {
        order.push(`${i} ${result.numbers.length > 0}`);
        done();
      });
    });
  });
  await Promise.all(both);
  deepStrictEqual(order, ["0 true", "1 true"]);
}

/** A thread keeps no process alive. */
async function awake(run: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => undefined, 1_000);
  await run().finally(() => clearInterval(timer));
}

if (workerData === treeThreadRole) serveTrees();
else {
  test("trees: a thread's results are those of the same jobs done here", () => awake(sameAsHere));
  test("trees: results come in the order of their jobs, of two states too", () => awake(inOrder));
}
