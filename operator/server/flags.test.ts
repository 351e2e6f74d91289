import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { flagsFrom } from "./flags.ts";

const image = ["--replica-image", "r:1"];

test("operator: wrong flags are a sentence", () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [[], /--replica-image is missing/],
    [[...image, "--image-pull-policy", "Sometimes"], /must be Always, IfNotPresent or Never/],
    [[...image, "--metrics-port", ""], /must be a port from 0 to 65535/],
    [[...image, "--metrics-port", "1e3"], /must be a port from 0 to 65535/],
    [[...image, "--metrics-port", "65536"], /must be a port from 0 to 65535/],
    [[...image, "--log-level", "loud"], /--log-level must be one of/],
    [[...image, "--colour"], /--colour/],
  ];
  for (const [args, why] of cases) {
    const flags = flagsFrom(args);
    assert.ok(!flags.ok, args.join(" "));
    assert.match(flags.why, why);
  }
});

test("operator: any words are flags or a sentence, never an exception", () => {
  const words = [...image, "--metrics-port", "0", "--fleets", "a,,b", "--", "-", "", "--x=1", "="];
  const prng = new Prng(3);
  for (let i = 0; i < 2_000; i += 1) {
    const args = Array.from({ length: prng.below(6) }, () => prng.pick(words));
    const flags = flagsFrom(args);
    if (flags.ok) assert.ok(flags.value.replicaImage !== "" && flags.value.metricsPort >= 0);
    else assert.ok(flags.why.length > 3);
  }
});
