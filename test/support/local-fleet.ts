import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootFolder } from "../tidy/source.ts";

/** What `npm start -- --json` prints, as far as the tests need it. */
export interface FleetFacts {
  readonly page: string;
  readonly edges: readonly string[];
  readonly logins: readonly {
    readonly user: string;
    readonly name: string;
    readonly code: string;
  }[];
  readonly metrics: string;
  readonly data: string;
  readonly apiKeyFile: string;
  readonly shards: readonly string[];
  readonly pids: Readonly<Record<string, number>>;
}

const startLimitMs = 30_000;
const stopLimitMs = 30_000;

/** A fleet started with the README's own command, in a temporary data directory. */
export class LocalFleet {
  readonly facts: FleetFacts;
  readonly tookMs: number;
  private readonly child: ChildProcess;
  private readonly folder: string;

  private constructor(child: ChildProcess, folder: string, facts: FleetFacts, tookMs: number) {
    this.child = child;
    this.folder = folder;
    this.facts = facts;
    this.tookMs = tookMs;
  }

  /** Starts `npm start -- --json --port 0 --data DIR`; with a `previous` fleet's data, if any. */
  static async start(args: readonly string[] = [], previous?: LocalFleet): Promise<LocalFleet> {
    const folder = previous?.folder ?? mkdtempSync(join(tmpdir(), "tigerchat-fleet-"));
    const startedMs = performance.now();
    const command = ["deploy/node.mjs", "deploy/local/main.ts", "--json", "--port", "0"];
    const child = spawn(process.execPath, [...command, "--data", join(folder, "data"), ...args], {
      cwd: rootFolder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const line = await firstLine(child);
    const facts = JSON.parse(line) as FleetFacts;
    return new LocalFleet(child, folder, facts, performance.now() - startedMs);
  }

  /** Starts as {@link start} does and sends Ctrl-C after `afterMs`, ready or not. */
  static async interrupt(
    folder: string,
    afterMs: number,
  ): Promise<{ readonly code: number | null; readonly text: string; readonly left: boolean }> {
    const data = join(folder, "data");
    const command = ["deploy/node.mjs", "deploy/local/main.ts", "--port", "0", "--data", data];
    const child = spawn(process.execPath, command, {
      cwd: rootFolder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
    }
    const timer = setTimeout(() => child.kill("SIGINT"), afterMs);
    const limit = setTimeout(() => child.kill("SIGKILL"), startLimitMs + stopLimitMs);
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    clearTimeout(timer);
    clearTimeout(limit);
    return { code, text, left: existsSync(join(data, "run.json")) };
  }

  /** Waits until all three replicas of the first shard run this version of the machine. */
  async runsVersion(version: number): Promise<void> {
    await this.allSay("tigerchat_replica_machine_version", version);
  }

  /** Waits until all three replicas of the first shard vote. */
  async allVote(): Promise<void> {
    await this.allSay("tigerchat_replica_voting", 1);
  }

  private async allSay(metric: string, value: number, limitMs = 20_000): Promise<void> {
    const deadline = performance.now() + limitMs;
    const line = new RegExp(`^${metric}\\{[^}]*\\} ${value}$`, "gm");
    while (performance.now() < deadline) {
      const text = await (await fetch(this.facts.metrics)).text();
      if ([...text.matchAll(line)].length >= 3) return;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`Not all replicas say ${metric} ${value} within ${limitMs} ms.`);
  }

  /** Which replica leads, by its own metric; waits up to `limitMs` for exactly one. */
  async primary(limitMs = 10_000): Promise<string> {
    const deadline = performance.now() + limitMs;
    while (performance.now() < deadline) {
      const text = await (await fetch(this.facts.metrics)).text();
      const leading = [...text.matchAll(/^tigerchat_shard_is_leader\{([^}]*)\} 1$/gm)].map(
        (match) => /instance="([^"]+)"/.exec(match[1] ?? "")?.[1] ?? "",
      );
      const [only] = leading;
      if (leading.length === 1 && only !== undefined) return only;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`No single primary within ${limitMs} ms.`);
  }

  /** Process number of a child by name now; children that were restarted have a new one. */
  pidOf(name: string): number {
    const pid = this.facts.pids[name];
    if (pid === undefined) throw new Error(`There is no process ${name}.`);
    return pid;
  }

  /** Ends the run itself with kill -9, so that its processes are left behind. */
  async killRun(): Promise<void> {
    const text = readFileSync(join(this.facts.data, "run.json"), "utf8");
    const { owner } = JSON.parse(text) as { readonly owner: { readonly pid: number } };
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    process.kill(owner.pid, "SIGKILL");
    await gone;
  }

  /** Ctrl-C; the exit code of the run, null when it had to be killed. Removes the data. */
  async stop(options?: { readonly keepData: boolean }): Promise<number | null> {
    const { exitCode, signalCode } = this.child;
    const ended = exitCode !== null || signalCode !== null;
    const code = ended ? exitCode : await this.interrupted();
    if (options?.keepData !== true) this.discard();
    return code;
  }

  private async interrupted(): Promise<number | null> {
    return await new Promise((resolve) => {
      const timer = setTimeout(() => this.child.kill("SIGKILL"), stopLimitMs);
      this.child.once("exit", (exitCode) => {
        clearTimeout(timer);
        resolve(exitCode);
      });
      this.child.kill("SIGINT");
    });
  }

  /** Removes the data of a fleet that has ended. */
  discard(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    let errors = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), startLimitMs);
    child.stderr?.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-20_000);
    });
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`npm start ended with ${code} before it was ready:\n${output}${errors}`));
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      const end = output.indexOf("\n");
      if (end === -1) return;
      clearTimeout(timer);
      resolve(output.slice(0, end));
    });
  });
}
