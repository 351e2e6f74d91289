// A sync under a limit of bytes a second, on virtual time, from a real shard's segments.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checksumZero, opFrom, replicaFrom } from "#replica/base/brands.ts";
import { decodeManifest, genesisManifest, manifestChunkBytes } from "#replica/snapshot/manifest.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import { MemoryShard, sha256 } from "#test/support/memory-shard.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { StateSync } from "./state-sync.ts";

const startMs = 1_800_000_000_000;
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 1, max: 100_000 },
  roomsMax: 100,
  seed: new Uint8Array(16).fill(3),
};
const mib = 1024 * 1024;

function filled(): MemoryShard {
  const shard = new MemoryShard(genesis);
  shard.commit(prepareOf(1, startMs * 1000, [requestOf([createRoom("a")])]));
  for (let op = 2; op < 500; op += 1) {
    const key = uuidv7(startMs + op, op);
    const said = post({ room: "a", sender: "ann", key, body: "x".repeat(16_000) });
    shard.commit(prepareOf(op, (startMs + op) * 1000, [requestOf([said])]));
  }
  shard.checkpoint();
  return shard;
}

test("state sync: fetches as fast as it may, and never gives up for its own slowness", () => {
  const shard = filled();
  const answers: { segment: string; block: number }[] = [];
  let nowMs = 1000;
  let bytes = 0;
  let done = false;
  const disk = new Map<string, readonly Uint8Array[]>();
  const later: (() => void)[] = [];
  const empty = decodeManifest(genesisManifest(ChatMachine.genesisState(genesis)));
  assert.ok(empty.ok);
  const storage = {
    writeSegment: (id: string, blocks: readonly Uint8Array[], written: () => void) => {
      disk.set(id, blocks);
      later.push(written);
    },
  } as unknown as Storage;
  const sync = new StateSync({
    storage,
    hash: sha256,
    nowMs: () => nowMs,
    bytesPerS: 1 * mib,
    chunkRetryMs: 200,
    syncPatienceMs: 1000,
    local: () => empty.value,
    ask: (_, __, address) => answers.push(address),
    complete: () => {
      done = true;
    },
    failed: () => assert.fail("a slow sync goes on"),
    wake: () => undefined,
  });
  const nothing = { id: checksumZero, parentId: checksumZero, opChecksum: checksumZero };
  const op = opFrom(shard.machine.op);
  const { root, manifest } = shard;
  const target = { ...nothing, op, root, manifestBytes: manifest.length };
  sync.begin(target, replicaFrom(1));
  for (let turn = 0; !done; turn += 1) {
    assert.ok(turn < 100_000, "a sync ends");
    const next = answers.shift();
    if (next !== undefined) {
      const at = next.block * manifestChunkBytes;
      const chunk =
        next.segment === ""
          ? manifest.subarray(at, at + manifestChunkBytes)
          : shard.disk.get(next.segment)?.[next.block];
      assert.ok(chunk);
      bytes += chunk.length;
      sync.receive(target.id, next.segment, next.block, chunk);
    } else if (later.length > 0) later.shift()?.();
    else {
      nowMs = Math.max(nowMs, sync.deadlineMs);
      sync.tick(nowMs);
    }
  }
  const seconds = (nowMs - 1000) / 1000;
  assert.ok(bytes > 7 * mib, `${bytes} bytes`);
  // A burst comes at once, and what is on its way when the pace ends.
  const wanted = bytes / mib - 1.5;
  assert.ok(seconds >= wanted && seconds < wanted + 2, `${seconds} s for ${bytes} bytes`);
  for (const [id, blocks] of shard.disk) assert.deepEqual(disk.get(id) ?? blocks, blocks);
});
