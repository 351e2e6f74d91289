import assert from "node:assert/strict";
import { test } from "node:test";
import { copySources } from "./dockerfile.ts";

test("dockerfile: what it copies from its context is found, other stages are not", () => {
  const text = `ARG BASE_IMAGE
FROM \${BASE_IMAGE}
COPY --chown=0:0 --chmod=0444 dist/replica.js /app/replica.js
copy a b \\
  /c/
ADD web/ /app/web/
COPY --from=build /x /y
COPY dist/replica.js /again.js
# COPY not this
`;
  assert.deepEqual(copySources(text), ["dist/replica.js", "a", "b", "web/"]);
});
