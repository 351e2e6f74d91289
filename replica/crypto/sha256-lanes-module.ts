/*
 * WebAssembly that hashes four messages at once: FIPS 180-4 with each 32-bit word in its own lane
 * of a 128-bit vector. Written here instruction by instruction, because the rounds are the same few
 * lines with rotated names, and so that no build step and no binary stands between reader and code.
 */

/** Bytes at the start of the memory that the code keeps to itself: the constants of the rounds. */
export const reservedBytes = 256;

/** First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const roundConstants = fractions(64, Math.cbrt);
/** The same of the square roots of the first 8. */
const initialState = fractions(8, Math.sqrt);

/** FIPS 180-4 sections 4.2.2 and 5.3.3. A double has 53 bits, 32 behind the point are enough. */
function fractions(count: number, root: (prime: number) => number): readonly number[] {
  const words: number[] = [];
  for (let prime = 2; words.length < count; prime += 1) {
    let divisor = 2;
    while (divisor * divisor <= prime && prime % divisor !== 0) divisor += 1;
    if (divisor * divisor > prime) words.push(Math.floor((root(prime) % 1) * 2 ** 32));
  }
  return words;
}

/** Bytes of a function under construction. One method an instruction or a common pair. */
class Code {
  readonly bytes: number[] = [];

  get(local: number): this {
    return this.plain(0x20, local);
  }

  set(local: number): this {
    return this.plain(0x21, local);
  }

  tee(local: number): this {
    return this.plain(0x22, local);
  }

  /** One byte of opcode, operands as unsigned LEB128. */
  plain(opcode: number, ...operands: readonly number[]): this {
    this.bytes.push(opcode, ...operands.flatMap(unsigned));
    return this;
  }

  /** An instruction of the vector set. */
  vector(opcode: number, ...operands: readonly number[]): this {
    this.bytes.push(0xfd, ...unsigned(opcode), ...operands.flatMap(unsigned));
    return this;
  }

  constant(value: number): this {
    this.bytes.push(0x41, ...signed(value));
    return this;
  }

  /** A vector of four equal words. */
  splat(word: number): this {
    const bytes = [word, word >>> 8, word >>> 16, word >>> 24].map((byte) => byte & 0xff);
    this.bytes.push(0xfd, 0x0c, ...bytes, ...bytes, ...bytes, ...bytes);
    return this;
  }

  /** Picks 16 of the 32 bytes of the two vectors on top. */
  shuffle(bytes: readonly number[]): this {
    this.bytes.push(0xfd, 0x0d, ...bytes);
    return this;
  }

  add(): this {
    return this.vector(0xae);
  }

  xor(): this {
    return this.vector(0x51);
  }

  /** XOR of a word rotated right by each of `rotations`, and shifted right by `shift` if given. */
  sigma(local: number, rotations: readonly number[], shift: number | null): this {
    rotations.forEach((bits, i) => {
      this.get(local).constant(bits).vector(0xad);
      this.get(local)
        .constant(32 - bits)
        .vector(0xab);
      this.vector(0x50);
      if (i > 0) this.xor();
    });
    return shift === null ? this : this.get(local).constant(shift).vector(0xad).xor();
  }
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  while (rest < -64 || rest > 63) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  bytes.push(rest & 0x7f);
  return bytes;
}

const lanes = [0, 1, 2, 3] as const;
/** Parameters: for each lane the message, its blocks, and where its hash goes. */
const messageOf = (lane: number): number => 3 * lane;
const blocksOf = (lane: number): number => 3 * lane + 1;
const hashOf = (lane: number): number => 3 * lane + 2;
const parameters = 12;
/** Locals: blocks done, blocks at most, address of constants; vectors: a to h, state, W, two. */
const block = parameters;
const blocksMax = parameters + 1;
const constants = parameters + 2;
const workingFirst = parameters + 3;
const stateFirst = workingFirst + 8;
const scheduleFirst = stateFirst + 8;
const spare = scheduleFirst + 16;
const vectors = 8 + 8 + 16 + 2;

const bigEndian = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
const lowWords = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const highWords = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];
const lowPairs = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const highPairs = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];

/** The next block of each message becomes W, word by word across the lanes. */
function load(code: Code): void {
  for (let quarter = 0; quarter < 4; quarter += 1) {
    const word = (i: number): number => scheduleFirst + 4 * quarter + i;
    for (const lane of lanes) {
      code
        .get(messageOf(lane))
        .vector(0x00, 0, 16 * quarter)
        .tee(word(lane))
        .get(word(lane));
      code.shuffle(bigEndian).set(word(lane));
    }
    code.get(word(0)).get(word(1)).shuffle(lowWords).set(spare);
    code
      .get(word(2))
      .get(word(3))
      .shuffle(lowWords)
      .set(spare + 1);
    code.get(word(0)).get(word(1)).shuffle(highWords).set(word(0));
    code.get(word(2)).get(word(3)).shuffle(highWords).set(word(1));
    code.get(word(0)).get(word(1)).shuffle(lowPairs).set(word(2));
    code.get(word(0)).get(word(1)).shuffle(highPairs).set(word(3));
    code
      .get(spare)
      .get(spare + 1)
      .shuffle(lowPairs)
      .set(word(0));
    code
      .get(spare)
      .get(spare + 1)
      .shuffle(highPairs)
      .set(word(1));
  }
}

/** Round t of 16; names move by one letter a round instead of values (section 6.2.2 step 3). */
function round(code: Code, t: number): void {
  const letter = (i: number): number => workingFirst + ((i - t) & 7);
  const [a, b, c, d] = [letter(0), letter(1), letter(2), letter(3)];
  const [e, f, g, h] = [letter(4), letter(5), letter(6), letter(7)];
  code
    .get(h)
    .get(scheduleFirst + t)
    .add();
  code
    .get(constants)
    .vector(0x09, 2, 4 * t)
    .add();
  code.sigma(e, [6, 11, 25], null).add();
  // Ch(e, f, g): bits of f where e is set, of g elsewhere.
  code.get(f).get(g).get(e).vector(0x52).add().tee(spare);
  code.get(d).add().set(d);
  code.get(spare).sigma(a, [2, 13, 22], null).add();
  // Maj(a, b, c): where a and b agree, b; elsewhere c.
  code.get(c).get(b).get(a).get(b).xor().vector(0x52).add().set(h);
}

/** W of round t + 16 takes the place of W of round t (section 6.2.2 step 1). */
function extend(code: Code, t: number): void {
  const word = (i: number): number => scheduleFirst + ((t + i) & 15);
  code.get(word(0)).sigma(word(1), [7, 18], 3).add().get(word(9)).add();
  code.sigma(word(14), [17, 19], 10).add().set(word(0));
}

/** A lane whose last block this was has its hash. */
function give(code: Code, lane: number): void {
  code.get(block).get(blocksOf(lane)).plain(0x46).plain(0x04, 0x40);
  for (let word = 0; word < 8; word += 1) {
    code
      .get(hashOf(lane))
      .get(stateFirst + word)
      .get(stateFirst + word)
      .shuffle(bigEndian);
    code.vector(0x5a, 0, 4 * word, lane);
  }
  code.plain(0x0b);
}

/** The 64 rounds of a block: three times 16 and what they need next, then 16. */
function rounds(code: Code): void {
  const times16 = (one: (code: Code, t: number) => void): void => {
    for (let t = 0; t < 16; t += 1) one(code, t);
  };
  code.constant(0).set(constants).plain(0x03, 0x40);
  times16(round);
  times16(extend);
  code.get(constants).constant(64).plain(0x6a).tee(constants).constant(192).plain(0x49);
  code.plain(0x0d, 0).plain(0x0b);
  times16(round);
}

/** Hashes four padded messages; one with 0 blocks is none. */
function body(): readonly number[] {
  const code = new Code();
  initialState.forEach((word, i) => {
    code.splat(word).set(stateFirst + i);
  });
  code.plain(0x03, 0x40);
  load(code);
  for (let i = 0; i < 8; i += 1) code.get(stateFirst + i).set(workingFirst + i);
  rounds(code);
  for (let i = 0; i < 8; i += 1) {
    code
      .get(stateFirst + i)
      .get(workingFirst + i)
      .add()
      .set(stateFirst + i);
  }
  code.get(block).constant(1).plain(0x6a).set(block);
  for (const lane of lanes) give(code, lane);
  for (const lane of lanes) {
    code.get(messageOf(lane)).constant(64).plain(0x6a).set(messageOf(lane));
    code.get(blocksOf(lane)).get(blocksMax).get(blocksOf(lane)).get(blocksMax);
    code.plain(0x4b).plain(0x1b).set(blocksMax);
  }
  // A shorter lane goes on with what lies behind its message: read, never given.
  code.get(block).get(blocksMax).plain(0x49).plain(0x0d, 0).plain(0x0b).plain(0x0b);
  return code.bytes;
}

function section(id: number, content: readonly number[]): readonly number[] {
  return [id, ...unsigned(content.length), ...content];
}

function text(name: string): readonly number[] {
  return [name.length, ...[...name].map((letter) => letter.charCodeAt(0))];
}

/** The module: imports `env.memory`, writes its first {@link reservedBytes}, exports `hash`. */
export function lanesModule(): Uint8Array<ArrayBuffer> {
  const i32 = 0x7f;
  const v128 = 0x7b;
  const code = [2, 3, i32, vectors, v128, ...body()];
  const words = roundConstants.flatMap((word) => [word, word >>> 8, word >>> 16, word >>> 24]);
  const data = words.map((byte) => byte & 0xff);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, parameters, ...Array.from({ length: parameters }, () => i32), 0]),
    ...section(2, [1, ...text("env"), ...text("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text("hash"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
    ...section(11, [1, 0, 0x41, 0, 0x0b, ...unsigned(data.length), ...data]),
  ]);
}
