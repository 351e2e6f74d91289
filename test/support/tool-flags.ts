import { parseArgs, type ParseArgsConfig } from "node:util";

/** Ends a developer's tool that was asked for what it does not know: a sentence, code 2. */
export function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

/** `parseArgs` for developers' tools: a wrong flag is answered with a sentence, not a stack. */
export function toolFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const known = Object.keys(config.options ?? {}).map((name) => `--${name}`);
    return refuse(`${said.split(". ")[0]}. Options: ${known.join(", ")}.`);
  }
}

/** What a number on the command line must be. */
export interface Bounds {
  readonly min: number;
  readonly max?: number;
  /** Whole numbers only, unless false. */
  readonly whole?: boolean;
}

/** A number from the command line, or the fallback when there is none. */
export function numberFlag(
  name: string,
  text: string | undefined,
  fallback: number,
  { min, max = Number.MAX_SAFE_INTEGER, whole = true }: Bounds,
): number {
  if (text === undefined) return fallback;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  const right = whole ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (right && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`;
  return refuse(
    `${name} is ${JSON.stringify(text)}: give a ${whole ? "whole " : ""}number ${range}.`,
  );
}
