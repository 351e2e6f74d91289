// Goal: no damage of a volume passes unseen or ends in a bare stack, and every refusal names file,
// byte and remedy. Method: one flipped bit at places all over a small volume; volumes that were
// swapped, rolled back, forked or cut off while being formatted.
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { CrashDisk } from "#test/support/crash-disk.ts";
import { FakeVault } from "#test/support/fake-vault.ts";
import { storageTools } from "#test/support/opaque-tools.ts";
import { TestReplica } from "#test/support/test-replica.ts";
import {
  nextSuperblock,
  smallGeometry,
  testCluster,
  testFormat,
  testPrepare,
  testShard,
} from "#test/support/test-volume.ts";
import { type Formatted, formatStorage } from "./format-storage.ts";
import { openStorage } from "./open-storage.ts";
import type { Refusal } from "./storage-tools.ts";

const { slotBytes } = smallGeometry;

/** A volume with a lap and a half of prepares of 1 to 4 units and a checkpoint. */
function livedIn(): TestReplica {
  const replica = TestReplica.format().clone();
  const bytes = (op: number): number => (op % 4) * 4000;
  const ops = (first: number, last: number) => {
    return Array.from({ length: last - first + 1 }, (_, i) => {
      return testPrepare(first + i, { bytes: bytes(first + i) });
    });
  };
  replica.writeAll(ops(1, 19));
  const state = nextSuperblock(replica.recovered.superblock, { checkpointOp: 12 });
  replica.storage.writeSuperblock(state, () => undefined);
  replica.disk.settle();
  replica.writeAll(ops(20, 30));
  return replica;
}

/** Places to damage: each unit's edges, and a stride that is prime to every structure. */
function places(length: number): readonly number[] {
  const found = new Set<number>();
  for (let unit = 0; unit < length; unit += 4096) {
    for (const at of [0, 4032, 4095]) {
      if (unit + at < length) found.add(unit + at);
    }
  }
  for (let at = 7; at < length; at += 6007) found.add(at);
  return [...found];
}

function refusalOf(result: { readonly ok: true } | Refusal): Refusal {
  ok(!result.ok);
  match(result.message, /superblock|prepares|keys/);
  match(result.message, /(Replace|Mount|Start|Use|Restore|waits)/);
  return result;
}

test("storage: a bit flipped anywhere in the prepares ring costs at most that one prepare", () => {
  const sound = livedIn();
  const all = sound.reopen().recovered.slots;
  const files = sound.disk.snapshot();
  const units = new Map(
    all.map((s) => [Number(s.op), Math.ceil(((s.op % 4) * 4000 + 400) / 4032)]),
  );
  for (const at of places(files.get("prepares")?.length ?? 0)) {
    sound.disk.restore(files);
    sound.flip("prepares", at);
    const { slots } = sound.reopen().recovered;
    const slot = Math.floor(at / slotBytes);
    const op = all.find((s) => s.op % smallGeometry.slotsCount === slot)?.op ?? 0;
    const used = at % slotBytes < (units.get(op) ?? 1) * 4096;
    for (const found of all) {
      const now = slots.find((s) => s.op === found.op);
      if (found.op !== op || !used) strictEqual(now?.state, "clean", `byte ${at}, op ${found.op}`);
      // Below the checkpoint too: consensus sees how far above its head the next wrap lies.
      else deepStrictEqual([now?.state, now?.header], ["faulty", found.header]);
    }
  }
});

test("storage: a bit flipped anywhere in the identifiers or one superblock copy is healed", () => {
  const sound = livedIn();
  const before = sound.reopen().recovered;
  const files = sound.disk.snapshot();
  for (const file of ["identifiers", "superblock"]) {
    for (const at of places(files.get(file)?.length ?? 0)) {
      sound.disk.restore(files);
      sound.flip(file, at);
      deepStrictEqual(sound.reopen().recovered, before, `${file} byte ${at}`);
      if (file === "superblock" && at < 65_536) {
        const healed = sound.disk.files.get(file);
        const copies = files.get(file);
        deepStrictEqual(healed?.subarray(0, 65_536), copies?.subarray(0, 65_536), `byte ${at}`);
      }
    }
  }
});

test("storage: a log without one readable header is refused, or its head would be a guess", () => {
  const replica = livedIn();
  const spoil = () => {
    for (const file of ["prepares", "identifiers"]) {
      const { length } = replica.disk.files.get(file) ?? [];
      for (let at = 1000; at < (length ?? 0); at += 4096) replica.flip(file, at);
    }
  };
  // With a header in the superblock the log is known to reach it, and may reach further.
  const files = replica.disk.snapshot();
  spoil();
  const { slots } = replica.reopen().recovered;
  ok(slots.every(({ state }) => state === "faulty"));
  replica.disk.restore(files);
  const headless = { checkpointOp: 12, viewHeaders: [] };
  const { storage, recovered } = replica.reopen();
  storage.writeSuperblock(nextSuperblock(recovered.superblock, headless), () => undefined);
  replica.disk.settle();
  spoil();
  const refusal = refusalOf(replica.tryOpen());
  deepStrictEqual([refusal.code, refusal.file, refusal.offset], ["corrupt_log", "prepares", 0]);
});

test("storage: a superblock damaged in three copies is refused, in two it is healed", () => {
  const replica = livedIn();
  for (const copy of [0, 1]) replica.flip("superblock", copy * 16_384 + 200);
  const { superblock } = replica.reopen().recovered;
  strictEqual(superblock.checkpoint.op, 12);
  for (const copy of [0, 1, 3]) replica.flip("superblock", copy * 16_384 + 200);
  const refusal = refusalOf(replica.tryOpen());
  deepStrictEqual([refusal.code, refusal.file], ["corrupt_superblock", "superblock"]);
});

test("storage: a superblock older than its log is a rolled-back volume", () => {
  const replica = TestReplica.format().clone();
  const old = replica.disk.snapshot().get("superblock");
  ok(old !== undefined);
  const lived = livedIn();
  const newer = lived.disk.files.get("superblock");
  lived.disk.files.set("superblock", old.slice());
  const whole = refusalOf(lived.tryOpen());
  deepStrictEqual([whole.code, whole.file], ["fork", "prepares"]);
  // Half of the copies from another day: two contents, or numbers that do not follow.
  ok(newer !== undefined);
  const state = nextSuperblock(replica.recovered.superblock, { view: 7 });
  replica.storage.writeSuperblock(state, () => undefined);
  replica.disk.settle();
  const rival = replica.disk.files.get("superblock");
  ok(rival !== undefined);
  rival.set(newer.subarray(0, 32_768), 0);
  deepStrictEqual([refusalOf(replica.tryOpen()).code], ["fork"]);
});

test("storage: another shard's, replica's or cluster's volume is refused by name", () => {
  const replica = livedIn();
  const wrong = [{ cluster: "f".repeat(32) }, { shard: "hall" }, { replica: replicaFrom(2) }];
  const right = { cluster: testCluster, shard: testShard, replica: replicaFrom(0) };
  for (const change of wrong) {
    let refusal: Refusal | null = null;
    const tools = storageTools(replica.disk, replica.vault.boot());
    const before = replica.disk.snapshot();
    openStorage({ ...tools, ...right, ...change }, (result) => {
      refusal = refusalOf(result);
    });
    replica.disk.settle();
    strictEqual((refusal as Refusal | null)?.code, "wrong_volume");
    match((refusal as Refusal | null)?.message ?? "", new RegExp(Object.keys(change).join()));
    deepStrictEqual(replica.disk.snapshot(), before, "a refused volume is not changed");
  }
});

test("storage: prepares that no key opens are refused as such, not repaired away", () => {
  const replica = livedIn();
  const emptyVault = new (class extends FakeVault {
    override open(): null {
      return null;
    }
  })();
  const refusal = refusalOf(new TestReplica(replica.disk, emptyVault.boot()).tryOpen());
  deepStrictEqual([refusal.code, refusal.file], ["wrong_key", "keys/data-keys"]);
});

test("storage: an empty volume waits for genesis; a lost superblock beside a log does not", () => {
  const empty = new TestReplica(new CrashDisk(), new FakeVault().boot());
  strictEqual(refusalOf(empty.tryOpen()).code, "unformatted");
  const lived = livedIn();
  lived.disk.files.set("superblock", new Uint8Array(69_632));
  strictEqual(refusalOf(lived.tryOpen()).code, "corrupt_superblock");
});

function format(replica: TestReplica): () => Formatted | null {
  let result: Formatted | null = null;
  const tools = storageTools(replica.disk, replica.vault);
  formatStorage(testFormat(tools, smallGeometry.slotsCount), (found) => {
    result = found;
  });
  return () => result;
}

test("storage: a format cut off at any point is run again; a finished one never", () => {
  for (let steps = 0; steps < 24; steps += 1) {
    for (const lands of [() => false, () => true]) {
      const replica = new TestReplica(new CrashDisk(), new FakeVault().boot());
      const first = format(replica);
      for (let step = 0; step < steps; step += 1) replica.disk.step();
      replica.disk.crash(lands);
      const opened = replica.tryOpen();
      if (!opened.ok) ok(["unformatted", "half_formatted"].includes(opened.code), opened.code);
      if (first()?.ok === true) ok(opened.ok, "a reported format opens");
      const again = format(replica);
      replica.disk.settle();
      const second = again();
      strictEqual(second?.ok, !opened.ok, `step ${steps}`);
      if (second?.ok === false) strictEqual(second.code, "already_formatted");
      replica.reopen();
    }
  }
});

test("storage: a volume with a log is never formatted, even without its superblock", () => {
  const lived = livedIn();
  lived.disk.files.delete("superblock");
  const result = format(lived);
  lived.disk.settle();
  const refused = result();
  ok(refused !== null && !refused.ok);
  deepStrictEqual([refused.code, refused.file], ["already_formatted", "prepares"]);
});

test("storage: a write that fails while opening poisons the volume, it is no refusal", () => {
  for (const file of ["superblock", "prepares"]) {
    const replica = livedIn();
    const poisoned: string[] = [];
    replica.onPoisoned = (why) => poisoned.push(why);
    replica.disk.writeFails.add(file);
    let opened = false;
    replica.beginOpen(() => {
      opened = true;
    });
    replica.disk.settle();
    strictEqual(opened, false);
    ok(poisoned[0]?.includes(`write of ${file}`), poisoned.join());
  }
});
