import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { tail } from "./command.ts";
import { sleep, waitFor } from "./wait.ts";

/**
 * A process that outlives the call that started it. Pid and start time together name it for ever.
 */
export interface Daemon {
  readonly name: string;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot: tells a reused pid from ours. */
  readonly startTicks: number;
  readonly logFile: string;
}

/** What to start, and where its output goes. */
export interface DaemonSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a process in its own session, so that it survives the caller; its output goes to the log
 * file.
 */
export async function startDaemon(spec: DaemonSpec): Promise<Daemon> {
  await mkdir(dirname(spec.logFile), { recursive: true });
  const log = openSync(spec.logFile, "a");
  try {
    const child = spawn(spec.command, spec.args, {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...spec.env },
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) =>
        reject(new Error(`Cannot start ${spec.name}: ${error.message}`)),
      );
    });
    child.unref();
    const pid = child.pid ?? 0;
    return { name: spec.name, pid, startTicks: startTicksOf(pid), logFile: spec.logFile };
  } finally {
    closeSync(log);
  }
}

/** Whether that very process still runs; a zombie counts as ended. */
export function isRunning(daemon: Pick<Daemon, "pid" | "startTicks">): boolean {
  const stat = readStat(daemon.pid);
  return stat !== undefined && stat.state !== "Z" && stat.startTicks === daemon.startTicks;
}

/**
 * Ends a process: asks first, then kills after `graceMs`. Does nothing when it has ended already.
 */
export async function stopDaemon(daemon: Daemon, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    signal(daemon, "SIGTERM");
    const until = performance.now() + graceMs;
    while (isRunning(daemon) && performance.now() < until) await sleep(20);
  }
  signal(daemon, "SIGKILL");
  await waitFor(`the end of ${daemon.name} (pid ${daemon.pid})`, 10_000, () => !isRunning(daemon), {
    intervalMs: 20,
  });
}

/** Sends a signal to a process of ours if it still runs. */
export function signal(daemon: Pick<Daemon, "pid" | "startTicks">, name: NodeJS.Signals): void {
  if (!isRunning(daemon)) return;
  try {
    process.kill(daemon.pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** The end of a process's log, for messages; empty when there is none. */
export function logTail(daemon: Pick<Daemon, "logFile">, lines = 15): string {
  try {
    return tail(readFileSync(daemon.logFile, "utf8"), lines);
  } catch {
    return "";
  }
}

/** Clock ticks since boot at which a process started; 0 when there is no such process. */
export function startTicksOf(pid: number): number {
  return readStat(pid)?.startTicks ?? 0;
}

function readStat(pid: number): { state: string; startTicks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, the command's name in parentheses, may hold spaces: count from its end.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}
