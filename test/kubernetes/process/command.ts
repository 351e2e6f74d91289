import { spawn } from "node:child_process";

/** How one command ended. `code` is 128 + signal number when a signal ended it. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Settings of one command; the limit of time is 60 s unless given. */
export interface CommandOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const outputBytesMax = 16 * 1024 * 1024;
const timeoutMsDefault = 60_000;

/**
 * Runs a command to its end and returns code and output; throws only when it cannot be started or
 * hangs.
 */
export function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const out = collect(child.stdout);
    const err = collect(child.stderr);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`Cannot start ${command}: ${error.message}`));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      if (late) {
        const shown = commandLine(command, args);
        reject(new Error(`No end of "${shown}" within ${timeoutMs} ms.\n${tail(err(), 20)}`));
      } else resolve({ code: code ?? 128, stdout: out(), stderr: err() });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/**
 * Runs a command and returns its standard output; throws with the tail of its errors when it fails.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await tryCommand(command, args, options);
  if (result.code === 0) return result.stdout;
  const shown = commandLine(command, args);
  const said = tail(result.stderr === "" ? result.stdout : result.stderr, 20);
  throw new Error(`"${shown}" ended with ${result.code}.\n${said}`);
}

/** The last lines of a text, at most `lines` of them. */
export function tail(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= outputBytesMax) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

function commandLine(command: string, args: readonly string[]): string {
  const line = [command, ...args].join(" ");
  return line.length > 300 ? `${line.slice(0, 300)} ...` : line;
}
