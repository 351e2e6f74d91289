// A volume without a free byte: a tmpfs with just enough room for the rings.
import { ok, strictEqual } from "node:assert/strict";
import { mkdirSync, rmdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runCommand, tryCommand } from "#test/kubernetes/process/command.ts";
import { runDirectory } from "./run-directory.ts";
import { underLoad } from "./under-load.ts";

/** Rings of 32 MiB, their identifiers, superblock and keys; a MiB or so is left for segments. */
const smallBytes = 34 * 1024 * 1024;
const largeBytes = 1024 * 1024 * 1024;
const roomLimitMs = 90_000;

for (const role of ["backup", "primary"] as const) {
  test(`faults: a full disk of the ${role} holds nobody up; with room it catches up`, async () => {
    const mount = join(await runDirectory(), `small-${role}`);
    mkdirSync(mount);
    await runCommand("mount", ["-t", "tmpfs", "-o", `size=${smallBytes}`, "tmpfs", mount]);
    try {
      const shard = { data: [join(mount, "data")] };
      const options = { shard, load: { bodyBytes: 8_000, pauseMs: 40 } };
      await underLoad(`full disk of ${role}`, options, async ({ shard, load }) => {
        if (role === "backup") {
          await shard.replicas[0]?.signal("SIGKILL");
          await load.waitForAcks(30);
          shard.replicas[0]?.start();
          await shard.waitForCaughtUp(0);
        }
        await shard.waitFor("the disk to be full", roomLimitMs, async () => {
          const { bavail, bsize } = statfsSync(mount);
          return bavail * bsize < 64 * 1024 ? true : null;
        });
        await load.waitForAcks(600);
        strictEqual(shard.replicas[0]?.running, true, "a full disk is no failed write");
        await runCommand("mount", ["-o", `remount,size=${largeBytes}`, mount]);
        ok((await shard.waitForCaughtUp(0, 60_000)).voting);
      });
    } finally {
      await tryCommand("umount", ["-l", mount]);
      rmdirSync(mount);
    }
  });
}
