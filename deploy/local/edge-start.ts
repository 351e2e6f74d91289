import { readFileSync } from "node:fs";
import { Refusal } from "./refusal.ts";

const readyLimitMs = 30_000;
const pollMs = 25;

/** An edge that was started. */
export interface StartedEdge {
  readonly name: string;
  readonly url: string;
  readonly log: string;
  /** How often its process has ended by itself. */
  readonly ends: () => number;
}

/** Waits until an edge says that it is ready. An edge that ends is quoted. */
export async function waitUntilReady(edge: StartedEdge): Promise<void> {
  const deadlineMs = performance.now() + readyLimitMs;
  while (performance.now() < deadlineMs) {
    try {
      if ((await fetch(`${edge.url}/readyz`)).ok) return;
    } catch {
      // Not listening yet: the next poll will tell.
    }
    if (edge.ends() > 0) {
      throw new Refusal(`${edge.name} does not start: ${lastLineOf(edge.log)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  const seconds = readyLimitMs / 1000;
  throw new Refusal(`${edge.name} was not ready after ${seconds} s; its log is ${edge.log}.`);
}

function lastLineOf(file: string): string {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.at(-1) ?? `its log ${file} is empty`;
}

/** Creates a room through the edge's own API; harmless when the room is there. */
export async function createRoom(url: string, apiKeyFile: string, room: string): Promise<void> {
  const key = readFileSync(apiKeyFile, "utf8").trim();
  const answer = await fetch(`${url}/v1/rooms`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ room }),
  });
  if (answer.ok) return;
  const problem = (await answer.json().catch(() => ({}))) as { readonly detail?: unknown };
  const why = typeof problem.detail === "string" ? problem.detail : `HTTP ${answer.status}.`;
  throw new Refusal(`The room ${room} cannot be created: ${why}`);
}
