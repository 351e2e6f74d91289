/** Something that the person who started this can mend: one sentence, exit code 1. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** The `code` of a system error, or "". */
export function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return String(error.code);
}
