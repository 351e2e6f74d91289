// Goal: what a peer's openings tell of its volume (rule A11). Method: the pure judgement, over
// whole histories of one volume.
import assert from "node:assert/strict";
import { test } from "node:test";
import { incarnationFrom, opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import { type Life, livesMax, type PeerMemory } from "#replica/wire/superblock.ts";
import { judgeVolume } from "./standing.ts";

function life(sequence: number, op: number | null, logView = 0): Life {
  const head = op === null ? null : opFrom(op);
  return { sequence, nonce: sequence * 7, logView: viewFrom(logView), op: head };
}

function memory(of: Life, sequence: number, logView: number, op: number): PeerMemory {
  const replica = replicaFrom(1);
  const incarnation = incarnationFrom("1".repeat(32));
  const mark = { sequence, logView: viewFrom(logView), op: opFrom(op) };
  return { replica, incarnation, life: of.sequence, nonce: of.nonce, ...mark };
}

const second = life(5, 10);
const known = memory(second, 9, 0, 40);

test("vsr: standing: the same life, and a restart that lost nothing, are sound", () => {
  assert.equal(judgeVolume(null, [life(2, 0)]), "sound");
  assert.equal(judgeVolume(known, [life(2, 0), second]), "sound");
  assert.equal(judgeVolume(known, [life(2, 0), second, life(10, 40)]), "sound");
  assert.equal(judgeVolume(known, [second, life(12, 3, 2)]), "sound", "a newer log may be shorter");
  assert.equal(judgeVolume(known, [second, life(12, null)]), "sound", "decay is no rollback");
});

test("vsr: standing: a copy is known by its superblock, its log view or its log", () => {
  const rolledBack = "rolled_back";
  assert.equal(judgeVolume(known, [life(2, 0), second, life(9, 40)]), rolledBack);
  assert.equal(judgeVolume(known, [life(2, 0), second, life(10, 39)]), rolledBack);
  assert.equal(judgeVolume(known, [life(2, 0), life(4, 9)]), rolledBack, "before that life");
  assert.equal(judgeVolume(known, [life(2, 0), { ...second, nonce: 1 }]), rolledBack, "a fork");
  const later = memory(second, 9, 3, 40);
  assert.equal(judgeVolume(later, [second, life(11, 90, 2)]), rolledBack);
  assert.equal(judgeVolume(known, []), rolledBack, "as if it had never formed");
});

test("vsr: standing: a copy that was opened again and again is still known", () => {
  const lives = [life(2, 0), second, life(7, 12), life(8, 12), life(9, 12), life(20, 90)];
  assert.equal(judgeVolume(known, lives), "rolled_back");
});

test("vsr: standing: random histories: sound is never refused, a used copy always", () => {
  const prng = new Prng(11);
  for (let run = 0; run < 2000; run += 1) {
    let lives: Life[] = [];
    let sequence = 1;
    let op = 0;
    const open = (): void => {
      sequence += 1;
      lives = [...lives, { ...life(sequence, op), nonce: prng.uint32() }].slice(-livesMax);
    };
    const work = (): void => {
      for (let n = prng.below(4); n > 0; n -= 1) {
        if (prng.chance(0.3)) sequence += 1;
        else op += 1;
      }
    };
    open();
    let told: PeerMemory | null = null;
    let copy = { lives, sequence, op };
    for (let turn = 0; turn < 12; turn += 1) {
      work();
      if (prng.chance(0.3)) open();
      if (prng.chance(0.3)) copy = { lives, sequence, op };
      if (!prng.chance(0.6)) continue;
      const last = lives.at(-1);
      assert.ok(last !== undefined);
      assert.equal(judgeVolume(told, lives), "sound");
      told = memory(last, sequence, 0, op);
    }
    const behind = told !== null && (copy.sequence < told.sequence || copy.op < told.op);
    ({ lives, sequence, op } = copy);
    for (let opened = 0; opened <= prng.below(livesMax - 1); opened += 1) open();
    assert.equal(judgeVolume(told, lives) === "rolled_back", behind);
  }
});
