import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isRunning, logTail, startDaemon, stopDaemon } from "./daemon.ts";
import { waitFor } from "./wait.ts";

test("daemon: starts, logs, is told from a stranger with its pid, stops", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tigerchat-daemon-"));
  try {
    const daemon = await startDaemon({
      name: "shell",
      command: "sh",
      args: ["-c", "echo hello; exec sleep 60"],
      logFile: join(dir, "log", "shell.log"),
    });
    await waitFor("its first line", 5_000, () => logTail(daemon) === "hello");
    assert.equal(isRunning(daemon), true);
    assert.equal(isRunning({ pid: daemon.pid, startTicks: daemon.startTicks + 1 }), false);
    await stopDaemon(daemon, 2_000);
    assert.equal(isRunning(daemon), false);
    await stopDaemon(daemon, 2_000);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("daemon: a command that does not exist is said at once", async () => {
  const spec = { name: "nothing", command: "/nowhere/nothing", args: [] };
  await assert.rejects(startDaemon({ ...spec, logFile: "/dev/null" }), /Cannot start nothing/);
});
