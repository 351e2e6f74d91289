import { readFileSync } from "node:fs";
import { Refusal } from "./refusal.ts";

const readyLimitMs = 30_000;
const pollMs = 25;

/** Waits until an edge says that it is ready. */
export async function waitUntilReady(url: string): Promise<void> {
  const deadlineMs = performance.now() + readyLimitMs;
  while (performance.now() < deadlineMs) {
    try {
      if ((await fetch(`${url}/readyz`)).ok) return;
    } catch {
      // Not listening yet: the next poll will tell.
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  throw new Refusal(
    `The edge at ${url} was not ready after ${readyLimitMs / 1000} s; see its log.`,
  );
}

/** Creates a room through the edge's own API; harmless when the room is there. */
export async function createRoom(url: string, apiKeyFile: string, room: string): Promise<void> {
  const key = readFileSync(apiKeyFile, "utf8").trim();
  const answer = await fetch(`${url}/v1/rooms`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ room }),
  });
  if (!answer.ok) throw new Refusal(`The room ${room} cannot be created: ${await answer.text()}`);
}
