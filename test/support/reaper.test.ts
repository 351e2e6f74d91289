// A test process that is killed leaves nothing of what it started.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { endsWithThis } from "./reaper.ts";

const roleOfRunner = "reaper-runner";

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function ended(pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    let looks = 0;
    const timer = setInterval(() => {
      looks += 1;
      if (alive(pid) && looks < 200) return;
      clearInterval(timer);
      resolve(looks < 200);
    }, 25);
  });
}

/** What a test runner does: starts processes, one of which ends; then it is killed. */
function runner(): void {
  const [long, short] = [spawn("sleep", ["60"]), spawn("sleep", ["0"])];
  for (const child of [long, short]) endsWithThis(child);
  short.once("exit", () => process.stdout.write(`${long.pid}\n`));
}

async function killedRunner(): Promise<void> {
  const words = [...process.execArgv, import.meta.filename, roleOfRunner];
  const killed = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: killed.stdout });
  const pid = Number(await new Promise<string>((resolve) => lines.once("line", resolve)));
  assert.ok(pid > 0 && alive(pid), "it runs while its parent does");
  killed.kill("SIGKILL");
  assert.ok(await ended(pid), "kill -9 of the runner ends what it started");
}

if (process.argv.includes(roleOfRunner)) runner();
else test("tests: what a killed test process started ends with it", killedRunner);
