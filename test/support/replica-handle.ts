import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { endsWithThis } from "./reaper.ts";

/** Log lines that a handle keeps at most. */
const linesMax = 2_000;

/** One replica process under test: started, stopped, paused, killed by its pid. */
export class ReplicaHandle {
  readonly index: number;
  /** The last log lines, whole. */
  readonly lines: string[] = [];
  private readonly command: readonly string[];
  private child: ChildProcess | null = null;
  private exited: Promise<number | null> = Promise.resolve(null);

  /** `command`: what to run, program first. */
  constructor(index: number, command: readonly string[]) {
    this.index = index;
    this.command = command;
  }

  /** Process id, or null while it is not running. */
  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  /** True while the process runs. */
  get running(): boolean {
    return this.child !== null;
  }

  /** Starts the process. */
  start(): void {
    if (this.child !== null) throw new Error(`replica ${this.index} runs already`);
    const [program = "", ...args] = this.command;
    const env = { ...process.env, UV_THREADPOOL_SIZE: "16" };
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
    this.child = child;
    endsWithThis(child);
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (this.lines.length >= linesMax) this.lines.shift();
        this.lines.push(line);
      });
    }
    this.exited = new Promise((resolve) => {
      child.once("exit", (code) => {
        if (this.child === child) this.child = null;
        resolve(code);
      });
    });
  }

  /** Sends a signal and, for one that ends the process, waits for the end. */
  async signal(name: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): Promise<number | null> {
    const { child } = this;
    if (child === null) return null;
    child.kill(name);
    if (name === "SIGSTOP" || name === "SIGCONT") return null;
    return await this.exited;
  }

  /** Waits until the process has ended by itself; its exit code. */
  waitForExit(): Promise<number | null> {
    return this.exited;
  }
}
