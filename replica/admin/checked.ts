/** What a validator returns: a value of the right shape, or one sentence for the caller. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly sentence: string };

/** Where the first problem of a whole document is kept; later ones are usually its echo. */
interface Sink {
  sentence: string | null;
}

/**
 * Reads the members of one JSON object, strictly: a missing, unknown or misshapen member is a
 * problem. The first problem wins; after it the readers return harmless values, and
 * {@link finish} turns everything into one answer.
 */
export class Fields {
  private readonly value: Readonly<Record<string, unknown>>;
  private readonly at: string;
  private readonly sink: Sink;

  /** `members`: every name that the object may have. `at`: path of the object, "" at the root. */
  constructor(
    value: unknown,
    members: readonly string[],
    at = "",
    sink: Sink = { sentence: null },
  ) {
    this.at = at;
    this.sink = sink;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    this.value = isObject ? (value as Readonly<Record<string, unknown>>) : {};
    if (!isObject) this.refuse("", "must be a JSON object");
    for (const name of Object.keys(this.value)) {
      if (!members.includes(name)) this.refuse(name, "is not a known member");
    }
  }

  /** Notes a problem with a member; "" names the object itself. */
  refuse(name: string, what: string): void {
    const path = [this.at, name].filter((part) => part !== "").join(".");
    this.sink.sentence ??= `${path === "" ? "The document" : path} ${what}.`;
  }

  /** True when the member is there. */
  has(name: string): boolean {
    return Object.hasOwn(this.value, name);
  }

  /** A string that matches `pattern`; `what` completes "must be …". */
  text(name: string, pattern: RegExp, what: string): string {
    const value = this.value[name];
    if (typeof value === "string" && pattern.test(value)) return value;
    this.refuse(name, this.has(name) ? `must be ${what}` : `is missing; it must be ${what}`);
    return "";
  }

  /** A string that matches, or null. */
  textOrNull(name: string, pattern: RegExp, what: string): string | null {
    if (this.value[name] === null) return null;
    return this.text(name, pattern, `${what}, or null`);
  }

  /** At most `countMax` strings that match. */
  texts(name: string, countMax: number, pattern: RegExp, what: string): readonly string[] {
    const value = this.value[name];
    if (Array.isArray(value) && value.length <= countMax) {
      if (value.every((item) => typeof item === "string" && pattern.test(item))) return value;
    }
    this.refuse(name, `must be a list of at most ${countMax}, each ${what}`);
    return [];
  }

  /** One of a few words. */
  word<const W extends string>(name: string, words: readonly [W, ...W[]]): W {
    const value = this.value[name];
    const found = words.find((word) => word === value);
    if (found === undefined) this.refuse(name, `must be one of ${words.join(", ")}`);
    return found ?? words[0];
  }

  /** An integer in [min, max]. */
  integer(name: string, min: number, max: number): number {
    const value = this.value[name];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) {
      return value;
    }
    this.refuse(name, `must be a whole number from ${min} to ${max}`);
    return min;
  }

  /** An integer in [min, max], or null. */
  integerOrNull(name: string, min: number, max: number): number | null {
    return this.value[name] === null ? null : this.integer(name, min, max);
  }

  /** An object with members of any name; its caller judges them. */
  record(name: string): Readonly<Record<string, unknown>> {
    const value = this.value[name];
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isObject) this.refuse(name, "must be a JSON object");
    return isObject ? (value as Readonly<Record<string, unknown>>) : {};
  }

  /** True or false. */
  flag(name: string): boolean {
    const value = this.value[name];
    if (typeof value !== "boolean") this.refuse(name, "must be true or false");
    return value === true;
  }

  /** An object inside this one. */
  object(name: string, members: readonly string[]): Fields {
    return new Fields(this.value[name], members, this.path(name), this.sink);
  }

  /** A member that is an object or absent; null = absent. */
  optional(name: string, members: readonly string[]): Fields | null {
    return this.value[name] === undefined ? null : this.object(name, members);
  }

  /** Objects in a list of countMin to countMax. */
  objects(name: string, countMin: number, countMax: number, members: readonly string[]): Fields[] {
    const value = this.value[name];
    if (!Array.isArray(value) || value.length < countMin || value.length > countMax) {
      const many = countMin === countMax ? `${countMin}` : `${countMin} to ${countMax}`;
      this.refuse(name, `must be a list of ${many}`);
      return [];
    }
    return value.map(
      (item, index) => new Fields(item, members, `${this.path(name)}[${index}]`, this.sink),
    );
  }

  /** The value, when nothing was wrong anywhere in the document. */
  finish<T>(value: T): Checked<T> {
    const sentence = this.sink.sentence;
    return sentence === null ? { ok: true, value } : { ok: false, sentence };
  }

  private path(name: string): string {
    return this.at === "" ? name : `${this.at}.${name}`;
  }
}

/** Parses JSON text, then checks it; bad JSON is a sentence like everything else. */
export function checkedFromText<T>(
  text: string,
  check: (value: unknown) => Checked<T>,
): Checked<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, sentence: "The document is not valid JSON." };
  }
  return check(value);
}
