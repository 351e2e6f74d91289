import { test } from "node:test";

let failed = "";

/** A test that builds on those before it: when one has failed, the rest says so at once. */
export function scenario(name: string, body: () => Promise<void>): void {
  test(`apiserver: ${name}`, async () => {
    if (failed !== "") throw new Error(`Not run, because this failed before: ${failed}.`);
    failed = name;
    await body();
    failed = "";
  });
}
