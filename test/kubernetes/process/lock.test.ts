import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { withLock } from "./lock.ts";

test("lock: whoever comes second waits, then has it", async () => {
  const name = `test ${process.pid} order`;
  const order: string[] = [];
  const first = withLock(name, 5_000, async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    order.push("first");
  });
  await withLock(name, 5_000, async () => void order.push("second"));
  await first;
  assert.deepEqual(order, ["first", "second"]);
});

test("lock: a holder that is killed leaves it free", async () => {
  const name = `test ${process.pid} killed`;
  const module = JSON.stringify(fileURLToPath(new URL("./lock.ts", import.meta.url)));
  const script = `import(${module}).then((m) => m.withLock(${JSON.stringify(name)}, 1000, () => {
    console.log("held");
    return new Promise((resolve) => setTimeout(resolve, 60_000));
  }))`;
  const holder = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  await assert.rejects(
    withLock(name, 0, async () => {}),
    /has held the lock/,
  );
  holder.kill("SIGKILL");
  await once(holder, "close");
  assert.equal(await withLock(name, 5_000, async () => "mine"), "mine");
});
