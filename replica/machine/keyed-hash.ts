/**
 * HalfSipHash-1-3 with 64 bits of output over a word and two byte strings, each closed by its
 * length, for the tables of this room: keyed, so that nobody who chooses names and keys can aim
 * at one bucket. Equal hashes are never taken for equal keys: the stored bytes are compared.
 * Writes the two halves to `out`. Strings are at most 255 bytes. Aumasson & Bernstein 2012.
 */
export function keyedHash(
  out: Int32Array,
  key0: number,
  key1: number,
  word: number,
  bytes: Uint8Array,
  startA: number,
  lengthA: number,
  startB: number,
  lengthB: number,
): void {
  let v0 = key0 | 0;
  let v1 = key1 ^ 0xee;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  const wordsA = lengthA >>> 2;
  const wordsB = lengthB >>> 2;
  const wordsLast = wordsA + wordsB + 2;
  // Words: the given one, A with its tail, B with its tail, then three rounds twice to finish.
  for (let i = 0; i <= wordsLast + 6; i += 1) {
    let m = 0;
    if (i > wordsLast) {
      if (i === wordsLast + 1) v2 ^= 0xee;
      else if (i === wordsLast + 4) {
        out[0] = v1 ^ v3;
        v1 ^= 0xdd;
      }
    } else if (i > wordsA + 1) {
      m = wordAt(bytes, startB, lengthB, i - wordsA - 2);
    } else if (i > 0) {
      m = wordAt(bytes, startA, lengthA, i - 1);
    } else {
      m = word;
    }
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= m;
  }
  out[1] = v1 ^ v3;
}

/** Word `index` of a string; the one behind its whole words holds the tail and the length. */
function wordAt(bytes: Uint8Array, start: number, length: number, index: number): number {
  const at = start + 4 * index;
  if (4 * index + 4 <= length) {
    const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    return low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
  }
  let m = length << 24;
  const tail = length - 4 * index;
  if (tail > 0) m |= bytes[at] ?? 0;
  if (tail > 1) m |= (bytes[at + 1] ?? 0) << 8;
  if (tail > 2) m |= (bytes[at + 2] ?? 0) << 16;
  return m;
}
