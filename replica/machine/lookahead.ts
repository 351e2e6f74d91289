import { requestOperationsMax } from "#replica/base/limits.ts";

/** Numbers that are kept of a post: place of its key, room, two halves of a hash, unseen. */
const fields = 5;
/** Posts that are kept at first; the room grows to what one prepare can hold. */
const postsFirst = 256;

/**
 * What `needs` has looked up for the posts of the op that is applied next, so that `apply` need not
 * look it up again: the room, the key's hash, and whether a key with that hash was known at all.
 * It holds for this one op, since nothing is applied between the two.
 */
export class Lookahead {
  /** The room of the post that was taken. */
  room = 0;
  /** True when no key with the hash of the post that was taken was known before this op. */
  unseen = false;
  private op = 0;
  private count = 0;
  private at = 0;
  private numbers = new Int32Array(fields * postsFirst);

  /** Begins to note what is found for this op; 0 = for none. */
  begin(op: number): void {
    this.op = op;
    this.count = 0;
    this.at = 0;
  }

  /** Notes what was found for a post, named by the place of its key in the body. */
  note(keyAt: number, room: number, hash: Int32Array, unseen: boolean): void {
    if (this.op === 0 || this.count === requestOperationsMax) return;
    const at = this.count * fields;
    if (at === this.numbers.length) this.grow();
    const { numbers } = this;
    numbers[at] = keyAt;
    numbers[at + 1] = room;
    numbers[at + 2] = hash[0] ?? 0;
    numbers[at + 3] = hash[1] ?? 0;
    numbers[at + 4] = unseen ? 1 : 0;
    this.count += 1;
  }

  private grow(): void {
    const larger = new Int32Array(2 * this.numbers.length);
    larger.set(this.numbers);
    this.numbers = larger;
  }

  /** The op is applied now: what was noted for another one is forgotten. */
  apply(op: number): void {
    if (this.op !== op) this.begin(0);
    this.at = 0;
  }

  /** Takes the next post if it was noted: {@link room}, {@link unseen} and `hash` are its own. */
  take(keyAt: number, hash: Int32Array): boolean {
    const at = this.at * fields;
    const { numbers } = this;
    if (this.at >= this.count || numbers[at] !== keyAt) return false;
    this.room = numbers[at + 1] ?? 0;
    hash[0] = numbers[at + 2] ?? 0;
    hash[1] = numbers[at + 3] ?? 0;
    this.unseen = numbers[at + 4] === 1;
    this.at += 1;
    return true;
  }
}
