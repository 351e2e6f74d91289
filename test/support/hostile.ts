import { Prng } from "#replica/base/prng.ts";

type Members = Record<string, unknown>;

const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], 0);

/** What nobody expects at a place; each is what JSON can say. */
const strangers: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  2 ** 53,
  1e308,
  "",
  " ",
  "\u0000",
  "\ud800",
  "../../etc/passwd",
  "__proto__",
  "9".repeat(400),
  "x".repeat(20_000),
  [],
  [null],
  Array.from({ length: 200 }, () => 1),
  {},
  { toString: 1 },
  deep,
];

function places(value: unknown, found: [Members, string][] = []): [Members, string][] {
  if (typeof value !== "object" || value === null) return found;
  for (const [name, inner] of Object.entries(value)) {
    found.push([value as Members, name]);
    places(inner, found);
  }
  return found;
}

/** Copies of a valid JSON value with one to three places changed, gone or added; by a seed. */
export function* hostileValues(valid: unknown, seed: number, count: number): Generator<unknown> {
  const prng = new Prng(seed);
  for (const stranger of strangers) yield copyOf(stranger);
  for (let i = 0; i < count; i += 1) {
    const copy: unknown = JSON.parse(JSON.stringify(valid));
    for (let changes = prng.between(1, 3); changes > 0; changes -= 1) {
      const all = places(copy);
      if (all.length === 0) break;
      const [holder, name] = prng.pick(all);
      const [other, otherName] = prng.pick(all);
      const kind = prng.below(4);
      if (kind === 0) delete holder[name];
      else if (kind === 1) holder[`${name}X`] = copyOf(prng.pick(strangers));
      else if (kind === 2) holder[name] = copyOf(other[otherName]);
      else holder[name] = copyOf(prng.pick(strangers));
    }
    // As text has it: a place that is gone from a list is null.
    yield copyOf(copy);
  }
}

/** A part put elsewhere must not hold itself. */
function copyOf(value: unknown): unknown {
  return value === undefined ? null : JSON.parse(JSON.stringify(value));
}

/** Texts near a valid one: bytes changed, cut, doubled; by a seed. */
export function* hostileTexts(valid: string, seed: number, count: number): Generator<string> {
  const prng = new Prng(seed);
  yield* ["", "\u0000", "null", "[]", "{}", "{", "\ufeff{}", "x".repeat(100_000)];
  for (let i = 0; i < count; i += 1) {
    const at = prng.below(valid.length + 1);
    const letter = String.fromCharCode(prng.below(prng.chance(0.9) ? 128 : 65_536));
    const rest = valid.slice(at + prng.below(3));
    yield prng.pick([valid.slice(0, at), valid.slice(0, at) + letter + rest, valid + rest]);
  }
}
