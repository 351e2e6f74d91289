// Goal: the joined page is one valid exposition. Method: two small scrapes with shared names.
import assert from "node:assert/strict";
import { test } from "node:test";
import { joinMetrics } from "./metrics-page.ts";

test("local: metrics of two processes become one family with an instance label each", () => {
  const text = '# HELP a_total Help.\n# TYPE a_total counter\na_total 1\na_total{x="{y}"} 2\n';
  const joined = joinMetrics([
    { name: "lobby-0", text },
    { name: "lobby-1", text: `${text}# HELP b B.\n# TYPE b gauge\nb{} 3\n` },
  ]);
  assert.deepEqual(joined.split("\n"), [
    "# HELP a_total Help.",
    "# TYPE a_total counter",
    'a_total{instance="lobby-0"} 1',
    'a_total{instance="lobby-0",x="{y}"} 2',
    'a_total{instance="lobby-1"} 1',
    'a_total{instance="lobby-1",x="{y}"} 2',
    "# HELP b B.",
    "# TYPE b gauge",
    'b{instance="lobby-1"} 3',
    "",
  ]);
});
