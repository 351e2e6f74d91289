import { createServer } from "node:net";
import { sleep } from "./wait.ts";

/**
 * Runs `work` while no other process of this machine holds the lock `name`; waits at most
 * `timeoutMs` for it.
 * The lock is a Unix socket in the abstract name space: the kernel frees it when its holder dies,
 * however it dies.
 */
export async function withLock<T>(
  name: string,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  let release = await tryLock(name);
  while (release === undefined) {
    if (performance.now() >= until) {
      throw new Error(`Another process has held the lock "${name}" for ${timeoutMs} ms.`);
    }
    await sleep(200);
    release = await tryLock(name);
  }
  try {
    return await work();
  } finally {
    await release();
  }
}

function tryLock(name: string): Promise<(() => Promise<void>) | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(`\0tigerchat/${name}`, () => {
      resolve(() => new Promise((done) => server.close(() => done())));
    });
  });
}
