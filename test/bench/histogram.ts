/** Buckets a power of two: values are kept to within 1/64. */
const subCount = 64;
const subBits = 6;
/** Values from 0 to 2^36 microseconds. */
const bucketsCount = (36 - subBits + 1) * subCount + subCount;

function indexOf(value: number): number {
  if (value < subCount) return value;
  const exponent = Math.floor(Math.log2(value)) - subBits;
  return (exponent + 1) * subCount + Math.floor(value / 2 ** exponent) - subCount;
}

/** Highest value that falls into a bucket. */
function upperEndOf(index: number): number {
  if (index < subCount) return index;
  const exponent = Math.floor(index / subCount) - 1;
  const sub = (index % subCount) + subCount;
  return (sub + 1) * 2 ** exponent - 1;
}

/** A raw histogram of whole microseconds, log-linear as HdrHistogram's: 1.6 % wide buckets. */
export class Histogram {
  private readonly counts = new Float64Array(bucketsCount);
  private total = 0;
  private highest = 0;
  private sum = 0;

  /** Values recorded. */
  get count(): number {
    return this.total;
  }

  /** Highest value recorded, exact. */
  get max(): number {
    return this.highest;
  }

  /** Mean of the values, exact. */
  get mean(): number {
    return this.total === 0 ? 0 : this.sum / this.total;
  }

  /** Records a value in microseconds; fractions are cut, negative ones count as 0. */
  record(valueUs: number): void {
    const value = Math.max(0, Math.floor(valueUs));
    const index = Math.min(indexOf(value), bucketsCount - 1);
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.total += 1;
    this.sum += value;
    if (value > this.highest) this.highest = value;
  }

  /** Value at a quantile from 0 to 1, microseconds: the upper end of its bucket. */
  quantile(q: number): number {
    let left = Math.ceil(q * this.total);
    for (let index = 0; index < bucketsCount; index += 1) {
      left -= this.counts[index] ?? 0;
      if (left <= 0 && this.total > 0) return Math.min(upperEndOf(index), this.highest);
    }
    return this.highest;
  }

  /** Non-empty buckets as [upper end in microseconds, count]: the raw data of a report. */
  buckets(): [number, number][] {
    const rows: [number, number][] = [];
    this.counts.forEach((count, index) => {
      if (count > 0) rows.push([upperEndOf(index), count]);
    });
    return rows;
  }
}
