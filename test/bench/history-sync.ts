// State sync of a data directory made by history-writer.ts into an empty one, both ends in this
// process, without the network: SOURCE TARGET ROOT MANIFEST-BYTES BYTES-A-SECOND. One line of JSON.
import assert from "node:assert/strict";
import { checksumZero, opFrom, replicaFrom } from "#replica/base/brands.ts";
import type { Checksum } from "#replica/base/brands.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import { ChunkSource } from "#replica/server/chunk-source.ts";
import { StateSync } from "#replica/server/state-sync.ts";
import { decodeManifest, genesisManifest } from "#replica/snapshot/manifest.ts";
import { FileVolume } from "#test/support/file-volume.ts";
import { historyGenesis, historyOp } from "./history-writer.ts";
import { Turns } from "./turns.ts";

async function openVolume(directory: string, fresh: boolean) {
  const volume = new FileVolume(directory);
  if (fresh) assert.ok((await volume.format(32)).ok);
  const opened = await volume.open();
  assert.ok(opened.ok);
  return { volume, storage: opened.storage };
}

const [from = "", to = "", root = "", manifestBytes = "", bytesPerS = ""] = process.argv.slice(2);
const source = await openVolume(from, false);
const target = await openVolume(to, true);
const genesis = genesisManifest(ChatMachine.genesisState(historyGenesis));
const empty = decodeManifest(genesis);
assert.ok(empty.ok);
const nothing = {
  id: "ab".repeat(32) as Checksum,
  parentId: checksumZero,
  opChecksum: checksumZero,
};
const about = {
  op: opFrom(historyOp),
  root: root as Checksum,
  manifestBytes: Number(manifestBytes),
};
const checkpoint = { ...nothing, ...about };
const chunks = new ChunkSource(source.storage, genesis);
chunks.add(checkpoint);
let bytes = 0;
const turns = new Turns();
const startMs = performance.now();
await new Promise<void>((resolve) => {
  const sync: StateSync = new StateSync({
    storage: target.storage,
    hash: sha256,
    nowMs: () => performance.now(),
    bytesPerS: Number(bytesPerS),
    chunkRetryMs: 200,
    syncPatienceMs: 10_000,
    local: () => empty.value,
    ask: (_, { id: checkpointId }, { segment, block }) => {
      const message = { kind: "get_chunk" as const, checkpointId, segment, block };
      const asked = message as Parameters<ChunkSource["serve"]>[0];
      chunks.serve(asked, performance.now(), (chunk) => {
        bytes += chunk.bytes.length;
        setImmediate(() => {
          sync.receive(chunk.checkpointId, chunk.segment, chunk.block, chunk.bytes);
        });
      });
    },
    complete: () => resolve(),
    failed: () => assert.fail("the sync failed"),
    wake: () => undefined,
  });
  const timer = setInterval(() => {
    if (sync.active) sync.tick(performance.now());
    else clearInterval(timer);
  }, 2);
  sync.begin(checkpoint, replicaFrom(1));
});
const seconds = (performance.now() - startMs) / 1000;
const mib = bytes / 2 ** 20;
const turnCpuMs = turns.end();
const rate = Number((mib / seconds).toFixed(1));
const told = { MiB: Math.round(mib), seconds: Number(seconds.toFixed(1)), MiBPerS: rate };
console.log(JSON.stringify({ ...told, turnCpuMs }));
await source.volume.close();
await target.volume.close();
