/** Sizes of bytes: whole numbers with an optional suffix, at most 17 characters. */
export const bytesPattern = "^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$";
/** Processors: whole, or thousandths with the suffix m. */
export const processorsPattern = "^[1-9][0-9]{0,8}m?$";

const factors: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 1000n,
  M: 1000n ** 2n,
  G: 1000n ** 3n,
  T: 1000n ** 4n,
  P: 1000n ** 5n,
  Ki: 1024n,
  Mi: 1024n ** 2n,
  Gi: 1024n ** 3n,
  Ti: 1024n ** 4n,
  Pi: 1024n ** 5n,
};

/** Bytes of a Kubernetes quantity of {@link bytesPattern}; null when the text is none. */
export function quantityFrom(text: string): bigint | null {
  const match = /^([1-9][0-9]{0,14})(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$/.exec(text);
  const factor = factors[match?.[2] ?? ""];
  if (match === null || factor === undefined) return null;
  return BigInt(match[1] ?? "0") * factor;
}

/** Order of two valid quantities: below, at or above 0. Invalid text counts as 0 bytes. */
export function quantityCompare(a: string, b: string): number {
  const difference = (quantityFrom(a) ?? 0n) - (quantityFrom(b) ?? 0n);
  if (difference === 0n) return 0;
  return difference < 0n ? -1 : 1;
}

/** Bytes of a valid quantity as a number, rounded down to whole `unitBytes`. */
export function bytesOfQuantity(text: string, unitBytes = 1): number {
  const bytes = Number(quantityFrom(text) ?? 0n);
  return bytes - (bytes % unitBytes);
}
