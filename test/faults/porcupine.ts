import { tryCommand } from "#test/kubernetes/process/command.ts";
import { goProgram } from "./go-program.ts";
import type { History } from "./history.ts";

/** Longest that the second judge may think, ms. */
const limitMs = 120_000;

/** Porcupine's verdict on a history: null when every room is linearizable, else what it said. */
export async function judgeByPorcupine(history: History): Promise<string | null> {
  const program = await goProgram("judge");
  const input = history.jsonLines();
  const { code, stdout, stderr } = await tryCommand(program, [], { input, timeoutMs: limitMs });
  if (code === 0 && stdout.trim().split("\n").length === history.rooms.length) return null;
  return `porcupine ended with ${code}: ${stdout}${stderr}`;
}
