import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tryCommand } from "#test/kubernetes/process/command.ts";
import { isRunning, signal, startTicksOf } from "#test/kubernetes/process/daemon.ts";

/** Everything of these tests lies below: data, mounts, sockets; one folder a test process. */
const faultsFolder = "/var/tmp/tigerchat-faults";

let own: string | null = null;

/**
 * The folder of this test process, named by pid and start time; removes first what runs that
 * crashed have left: their processes (known by a path of their folder in the command line), their
 * mounts, their folders. What stands below must be removed by whoever made it.
 */
export async function runDirectory(): Promise<string> {
  if (own !== null) return own;
  mkdirSync(faultsFolder, { recursive: true });
  for (const name of readdirSync(faultsFolder)) {
    const [pid = 0, startTicks = 0] = name.split("-").map(Number);
    if (!isRunning({ pid, startTicks })) await removeRun(join(faultsFolder, name));
  }
  own = join(faultsFolder, `${process.pid}-${startTicksOf(process.pid)}`);
  mkdirSync(own, { recursive: true });
  const mine = own;
  process.once("exit", () => rmSync(mine, { recursive: true, force: true }));
  return own;
}

/** Ends the processes of a run by pid, then removes its mounts and files. */
export async function removeRun(folder: string): Promise<void> {
  for (const pid of pidsOf(folder)) {
    signal({ pid, startTicks: startTicksOf(pid) }, "SIGKILL");
  }
  for (const path of [...mountsBelow(folder)].reverse()) await tryCommand("umount", ["-l", path]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Mount points below a folder, in the order of mounting. */
export function mountsBelow(folder: string): readonly string[] {
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return lines
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
}

/** Processes that were started with a path below a folder. */
export function pidsOf(folder: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return words.some((word) => word.startsWith(`${folder}/`));
      } catch {
        return false;
      }
    });
}
