/** What a function returns when the world may say no: a value, or a reason that names the case. */
export type Result<T, E extends string = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: E };

/** A success. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** A refusal; `reason` is a stable word for programs, not a sentence. */
export function fail<E extends string>(reason: E): { readonly ok: false; readonly reason: E } {
  return { ok: false, reason };
}
