// A process that opens a data directory made by history-writer.ts as a replica does at its start,
// and measures: DIRECTORY CHECKPOINT-JSON. Prints one line of JSON.
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { checksumZero, opFrom, seqFrom } from "#replica/base/brands.ts";
import type { Checksum } from "#replica/base/brands.ts";
import { sha256, sha256Bytes, sha256Into } from "#replica/crypto/hash.ts";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import type { LoadedBlock } from "#replica/machine/port.ts";
import { CheckpointWriter } from "#replica/snapshot/checkpoint-writer.ts";
import { genesisManifest, manifestWrite } from "#replica/snapshot/manifest.ts";
import { splitEntries } from "#replica/wire/entry.ts";
import { readResult } from "#replica/wire/operation.ts";
import { restoreMachine } from "#replica/server/restore-machine.ts";
import type { Restored } from "#replica/server/restore-machine.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import { FileVolume } from "#test/support/file-volume.ts";
import { post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { historyEndMs, historyGenesis, historyOp, historyRoom } from "./history-writer.ts";
import { percentile } from "./percentile.ts";
import { Turns } from "./turns.ts";

const pages = 2000;
const pageEntries = 50;
const sliceBytes = 32 * 1024;
const hasher = new TreeHasher(treeHashes);

const delay = monitorEventLoopDelay({ resolution: 1 });

/** Longest turn since the last call, milliseconds beyond the timer's own. */
function longestTurnMs(): number {
  const ms = Math.max(0, delay.max / 1e6 - 1);
  delay.reset();
  return Number(ms.toFixed(1));
}

const later = (run: () => void): void => void setImmediate(run);

async function restore(
  storage: Storage,
  machine: ChatMachine,
  root: Checksum,
  manifestBytes: number,
): Promise<Extract<Restored, { ok: true }>> {
  const op = opFrom(historyOp);
  const nothing = { id: checksumZero, parentId: checksumZero, opChecksum: checksumZero };
  const checkpoint = { ...nothing, op, root, manifestBytes };
  const genesis = genesisManifest(ChatMachine.genesisState(historyGenesis));
  const options = { storage, hash: sha256, checkpoint, genesisManifest: genesis, sink: machine };
  const restored = await new Promise<Restored>((done) => {
    restoreMachine({ ...options, later }, done);
  });
  assert.ok(restored.ok, restored.ok ? "" : restored.message);
  return restored;
}

function load(storage: Storage, segment: string, block: number): Promise<Uint8Array> {
  return new Promise((done) => {
    storage.readBlock(segment, block, (bytes) => {
      assert.ok(bytes, `${segment}/${block}`);
      done(bytes);
    });
  });
}

/** Reads pages of random rooms, from a random seq each; milliseconds of each, ascending. */
async function readPages(storage: Storage, machine: ChatMachine, seed: number): Promise<number[]> {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const took: number[] = [];
  for (let page = 0; page < pages; page += 1) {
    const room = historyRoom(Math.floor(random() * machine.roomsCount));
    const name = { tenant: "acme", room };
    const answer = machine.room(name);
    assert.ok(answer.code === "ok");
    const from = Math.floor(random() * Math.max(1, answer.head - pageEntries));
    const range = { kind: "after" as const, seq: seqFrom(from), limit: pageEntries };
    const loaded: LoadedBlock[] = [];
    const start = performance.now();
    for (;;) {
      const step = machine.read(name, range, loaded);
      if (step.kind === "answer") {
        const wanted = Math.min(pageEntries, answer.head - from);
        assert.equal(splitEntries(step.entries, 200)?.length, wanted);
        break;
      }
      const blocks = step.addresses.map(({ segment, block }) => load(storage, segment, block));
      (await Promise.all(blocks)).forEach((bytes, i) => {
        const address = step.addresses[i];
        if (address !== undefined) loaded.push({ address, bytes });
      });
    }
    took.push(performance.now() - start);
  }
  return took.sort((a, b) => a - b);
}

interface Checkpointed {
  readonly rooms: number;
  readonly freezeMs: number;
  readonly turnMs: number;
  readonly turnCpuMs: number;
  /** Of the fresh keys of its posts, those for which a block had to be read. */
  readonly keysRead: number;
}

/** Own time of a fresh key: anywhere in the window, where it meets the keys that are there. */
function freshKeyMs(number: number): number {
  return historyEndMs - Math.floor(((number * 0.618_033_988) % 1) * 23 * 3_600_000);
}

/** Posts into many rooms, freezes, writes the checkpoint in slices; longest turns of each. */
async function checkpoint(
  storage: Storage,
  machine: ChatMachine,
  restored: Extract<Restored, { ok: true }>,
): Promise<Checkpointed> {
  const { manifest, segments } = restored;
  const { sweeper } = machine;
  const writer = new CheckpointWriter({ hash: sha256, manifest, segments, sweeper });
  const rooms = 200_000;
  let keysRead = 0;
  for (let done = 0; done < rooms; done += 500) {
    const ms = historyEndMs + 1 + done;
    const operations = Array.from({ length: 500 }, (_, i) => {
      const room = historyRoom(((done + i) * 4 + 1) % machine.roomsCount);
      const key = uuidv7(freshKeyMs(done + i), done + i);
      return post({ tenant: "acme", room, sender: "user-002", key, body: "x".repeat(64) });
    });
    const prepare = prepareOf(machine.op + 1, ms * 1000, [requestOf(operations)]);
    const addresses = machine.needs(prepare);
    keysRead += addresses.length;
    const blocks = await Promise.all(addresses.map((a) => load(storage, a.segment, a.block)));
    const [reply] = machine.apply(prepare, blocks);
    assert.equal(readResult(reply ?? new Uint8Array(0), 0)?.code, "ok");
    await new Promise<void>(later);
    await hashTrees(storage, machine);
  }
  longestTurnMs();
  const turns = new Turns();
  const start = performance.now();
  machine.freeze(opFrom(machine.op));
  const freezeMs = performance.now() - start;
  await writeCheckpoint(storage, machine, writer);
  const freeze = Number(freezeMs.toFixed(2));
  const turnCpuMs = turns.end();
  return { rooms, freezeMs: freeze, turnMs: longestTurnMs(), turnCpuMs, keysRead };
}

async function hashTrees(storage: Storage, machine: ChatMachine): Promise<void> {
  while (machine.ledger?.workWanted === true) {
    const step = machine.ledger.step(256);
    if (step.kind === "load") {
      const loaded = await Promise.all(
        step.addresses.map(async (address) => {
          return { address, bytes: await load(storage, address.segment, address.block) };
        }),
      );
      machine.ledger.loaded(loaded);
    } else if (step.kind === "hash") machine.ledger.hashed(hasher.run(step.job));
    await new Promise<void>(later);
  }
}

async function writeCheckpoint(
  storage: Storage,
  machine: ChatMachine,
  writer: CheckpointWriter,
): Promise<void> {
  await hashTrees(storage, machine);
  writer.begin(machine.frozen(opFrom(machine.op)), new Uint8Array(0));
  let waiting = 0;
  for (;;) {
    const step = writer.step(sliceBytes);
    if (step.kind === "write") {
      waiting += 1;
      storage.writeSegment(step.segment.id, step.segment.blocks, () => {
        waiting -= 1;
        writer.written(step.segment.id);
      });
    } else if (step.kind === "ready") {
      const { id, blocks } = manifestWrite(step.op, step.manifest);
      await new Promise<void>((done) => storage.writeSegment(id, blocks, done));
      const { history } = writer.installed(step.op);
      machine.release(step.op, history);
      return;
    } else if (step.kind === "waiting") {
      assert.ok(waiting > 0);
      await new Promise((done) => setTimeout(done, 1));
    }
    await new Promise<void>(later);
  }
}

async function main(directory: string, root: Checksum, manifestBytes: number): Promise<void> {
  delay.enable();
  const before = process.memoryUsage();
  const start = performance.now();
  const cpuStart = process.cpuUsage();
  const volume = new FileVolume(directory);
  const opened = await volume.open();
  assert.ok(opened.ok);
  const { storage } = opened;
  const hashes = { hash: sha256Bytes, proofs: sha256Into };
  const machine = new ChatMachine(historyGenesis, hashes);
  const restored = await restore(storage, machine, root, manifestBytes);
  const restoreMs = performance.now() - start;
  const cpu = process.cpuUsage(cpuStart);
  const restoreTurnMs = longestTurnMs();
  global.gc?.();
  const after = process.memoryUsage();
  const held = after.heapUsed + after.external - before.heapUsed - before.external;
  let indexBytes = 0;
  for (const segment of restored.segments) {
    indexBytes += 16 * segment.rowsCount + segment.head.bytes.length;
  }
  await readPages(storage, machine, 1);
  const took = await readPages(storage, machine, 1);
  const fresh = await readPages(storage, machine, 2);
  const checkpointed = await checkpoint(storage, machine, restored);
  const again = new ChatMachine(historyGenesis, hashes);
  const turns = new Turns();
  await restore(storage, again, root, manifestBytes);
  const restoreTurnCpuMs = turns.end();
  const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
  const report = {
    entries: machine.entriesCount,
    rooms: machine.roomsCount,
    keys: machine.keysCount,
    restoreSeconds: Number((restoreMs / 1000).toFixed(2)),
    restoreCpuSeconds: Number(((cpu.user + cpu.system) / 1e6).toFixed(2)),
    restoreTurnMs,
    restoreTurnCpuMs,
    heldMiB: mib(held),
    peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    indexMiB: mib(indexBytes),
    keysMiB: mib(machine.keysMemoryBytes),
    bytesPerKey: Number((machine.keysMemoryBytes / machine.keysCount).toFixed(2)),
    pageMs: { p50: percentile(took, 0.5), p99: percentile(took, 0.99) },
    otherPageMs: { p50: percentile(fresh, 0.5), p99: percentile(fresh, 0.99) },
    checkpoint: checkpointed,
  };
  console.log(JSON.stringify(report));
  await volume.close();
}

const [directory = "", root = "", manifestBytes = ""] = process.argv.slice(2);
await main(directory, root as Checksum, Number(manifestBytes));
