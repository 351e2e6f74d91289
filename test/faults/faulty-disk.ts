import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { goProgram } from "./go-program.ts";

/** What can be made to fail or to take its time. */
export type DiskOperation = "read" | "write" | "sync";

const readyMs = 10_000;
const answerMs = 10_000;

/** A mounted disk that fails on command: one process of the folder faulty-fs. */
export class FaultyDisk {
  /** The mount point. */
  readonly mount: string;
  private readonly child: ChildProcess;
  private readonly socket: string;

  private constructor(child: ChildProcess, mount: string, socket: string) {
    this.child = child;
    this.mount = mount;
    this.socket = socket;
  }

  /** Mounts an empty disk at `folder`/mount. Its process ends with this one. */
  static async start(folder: string): Promise<FaultyDisk> {
    const program = await goProgram("faulty-fs");
    mkdirSync(folder, { recursive: true });
    const mount = join(folder, "mount");
    const socket = join(folder, "control");
    const args = [join(folder, "backing"), mount, socket];
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    const ready = once(child.stdout, "data", { signal: AbortSignal.timeout(readyMs) });
    const ended = once(child, "exit").then(() => {
      throw new Error("faulty-fs did not start");
    });
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
    return new FaultyDisk(child, mount, socket);
  }

  /** EIO for the next `count` calls on files with `path` in their path; -1 = for ever. */
  async fail(operation: DiskOperation, path: string, count: number): Promise<void> {
    await this.command(`fail ${operation} ${path} ${count}`);
  }

  /** Every such call takes so much longer. */
  async delay(operation: DiskOperation, ms: number): Promise<void> {
    await this.command(`delay ${operation} ${ms}`);
  }

  /** No call fails or waits any more. */
  async heal(): Promise<void> {
    await this.command("heal");
  }

  /** Power cut: what was not synced is gone. Nobody may have a file open for writing. */
  async drop(): Promise<{ readonly pages: number; readonly entries: number }> {
    const [pages = 0, entries = 0] = numbersOf(await this.command("drop"));
    return { pages, entries };
  }

  /** Un-synced pages and entries now, and calls that were made to fail. */
  async stats(): Promise<{ readonly pages: number; readonly failed: number }> {
    const [pages = 0, _entries, ...failed] = numbersOf(await this.command("stats"));
    return { pages, failed: failed.reduce((sum, count) => sum + count, 0) };
  }

  /** Unmounts and ends the process. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill("SIGKILL"), answerMs);
    await ended;
    clearTimeout(timer);
  }

  private async command(line: string): Promise<string> {
    const connection = createConnection(this.socket);
    try {
      connection.write(`${line}\n`);
      const [answer] = await once(connection, "data", { signal: AbortSignal.timeout(answerMs) });
      const text = String(answer).trim();
      if (!text.startsWith("ok")) throw new Error(`faulty-fs answered "${line}" with ${text}`);
      return text;
    } finally {
      connection.destroy();
    }
  }
}

function numbersOf(text: string): readonly number[] {
  return [...text.matchAll(/\d+/g)].map((found) => Number(found[0]));
}
