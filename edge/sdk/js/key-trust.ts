import { formatKeys, keyIn, successorOf } from "./key-list.ts";
import {
  KeysChanged,
  parseKeys,
  ProofError,
  signersOf,
  verifyCheckpoint,
  verifyReceipt,
} from "./receipt.ts";
import type { ProvenCheckpoint, ProvenEntry } from "./receipt.ts";

/** Keys of one log that somebody trusts; plain data, to be stored. */
export interface TrustedKeys {
  /** The list that was trusted first. */
  readonly first: string;
  /** The newest list that followed from it and was used. */
  readonly now: string;
}

/** Where trusted keys are kept, by the origin of their log. A Map is one that forgets. */
export interface KeyStore {
  get(origin: string): TrustedKeys | null | undefined;
  set(origin: string, keys: TrustedKeys): unknown;
  delete(origin: string): unknown;
}

/** Asks for the list of now: the text of `GET /v1/rooms/{room}/keys`. */
type AskKeys = () => Promise<string>;

/**
 * Keys that are trusted from the first use on, through replacements of replicas. A list is not
 * signed by anybody, so a later one is believed only as far as a key of the first list vouches for
 * it: whatever an edge serves, nothing is verified without a signature by one of those.
 */
export class KeyTrust {
  private readonly store: KeyStore;

  /** `store`: what is in it already is trusted. */
  constructor(store: KeyStore = new Map<string, TrustedKeys>()) {
    this.store = store;
  }

  /** Trust in keys that came over another way than the edge. Throws {@link ProofError}. */
  static async in(keys: string): Promise<KeyTrust> {
    const origin = (await parseKeys(keys)).find(({ type }) => type === 1)?.name;
    if (origin === undefined) throw new ProofError("The list has no key of a log.");
    return new KeyTrust(new Map([[origin, { first: keys, now: keys }]]));
  }

  /** Checks a signed checkpoint. Throws {@link ProofError}, or what `ask` throws. */
  async checkpoint(note: string, ask: AskKeys): Promise<ProvenCheckpoint> {
    return await this.check(note, (keys) => verifyCheckpoint(note, keys), ask);
  }

  /** Checks a receipt. Throws {@link ProofError}, or what `ask` throws. */
  async receipt(receipt: string, ask: AskKeys): Promise<ProvenEntry> {
    const note = receipt.slice(receipt.indexOf("\n\n") + 2);
    return await this.check(note, (keys) => verifyReceipt(receipt, keys), ask);
  }

  /** A person says so: the next list of this log is trusted as if it were the first. */
  forget(origin: string): void {
    this.store.delete(origin);
  }

  private async check<T>(
    note: string,
    verify: (keys: TrustedKeys) => Promise<T>,
    ask: AskKeys,
  ): Promise<T> {
    const origin = note.slice(0, Math.max(0, note.indexOf("\n")));
    const trusted = this.store.get(origin) ?? null;
    if (trusted !== null) {
      try {
        return await verify(trusted);
      } catch (error) {
        const unknown = error instanceof ProofError && (await hasStranger(note, origin, trusted));
        if (!unknown) throw error;
      }
    }
    const list = await ask();
    const keys = trusted === null ? { first: list, now: list } : await followed(trusted, list);
    const proven = await verify(keys);
    this.store.set(origin, keys);
    return proven;
  }
}

/** True when a note is signed in the log's name by a key that is not in the list. */
async function hasStranger(note: string, origin: string, { now }: TrustedKeys): Promise<boolean> {
  const known = await parseKeys(now);
  return signersOf(note).some((signer) => {
    const ofLog = signer.name === origin || signer.name.startsWith(`${origin}/`);
    return ofLog && keyIn(known, signer) === undefined;
  });
}

async function followed(trusted: TrustedKeys, list: string): Promise<TrustedKeys> {
  const next = successorOf(await parseKeys(trusted.now), await parseKeys(list));
  if (typeof next !== "string") return { first: trusted.first, now: formatKeys(next) };
  throw new KeysChanged(`The keys served now do not follow from the trusted ones: ${next}.`);
}
