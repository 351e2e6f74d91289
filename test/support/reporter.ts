import type { TestEvent } from "node:test/reporters";

/**
 * Reporter for node:test: prints what failed as `spec` does, then one line
 * `N passed, N failed, N skipped`, and fails the run when nothing passed or anything was skipped.
 * node:test itself exits with 0 in both cases. The runner demands a default export.
 */
export default async function* countReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const event of source) {
    if (event.type === "test:pass" && event.data.details.type !== "suite") {
      if (event.data.skip !== undefined || event.data.todo !== undefined) {
        counts.skipped += 1;
        yield `skipped: ${event.data.name}\n`;
      } else counts.passed += 1;
    }
    if (event.type === "test:fail" && event.data.details.type !== "suite") {
      counts.failed += 1;
      const error = event.data.details.error;
      const cause =
        error.cause instanceof Error
          ? (error.cause.stack ?? String(error.cause))
          : String(error.cause);
      yield `FAILED ${event.data.file ?? ""}: ${event.data.name}\n${cause}\n`;
    }
    if (event.type === "test:stderr") yield event.data.message;
  }
  if (counts.passed === 0 || counts.skipped > 0) process.exitCode = 1;
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
}
