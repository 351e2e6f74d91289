/** True when two ranges of this length hold the same bytes. */
export function sameRange(
  a: Uint8Array,
  aAt: number,
  b: Uint8Array,
  bAt: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i += 1) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

/** Copies a range: words, then bytes; faster than a view and a call of `set` for short ones. */
export function copyRange(
  target: Uint8Array,
  targetView: DataView,
  at: number,
  source: Uint8Array,
  sourceView: DataView,
  sourceAt: number,
  length: number,
): void {
  if (length > 512) {
    target.set(source.subarray(sourceAt, sourceAt + length), at);
    return;
  }
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    targetView.setInt32(at + i, sourceView.getInt32(sourceAt + i, true), true);
  }
  for (; i < length; i += 1) target[at + i] = source[sourceAt + i] ?? 0;
}
