import { assert } from "#replica/base/assert.ts";
import type { Checksum, ReplicaIndex } from "#replica/base/brands.ts";
import { checksumFrom } from "#replica/base/brands.ts";
import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { replicasCount } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import { utf8From } from "#replica/base/text.ts";
import type { LedgerHead } from "#replica/machine/ledger.ts";
import {
  checkpointText,
  cosignatureBytes,
  cosignedMessage,
  cosignerName,
  cosignersMinDefault,
} from "#replica/proof/checkpoint.ts";
import type { ProofCrypto, VerifierKey } from "#replica/proof/note.ts";
import { formatNote, signatureTypes, verifierKeyOf } from "#replica/proof/note.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";

declare const MUTATIONS: boolean | undefined;

/** A head of the shard's log that this replica has signed: what must survive a restart. */
export interface CosignMark {
  readonly size: number;
  readonly root: Checksum;
}

/** Durable memory of the newest head that this replica signed. */
export interface CosignMemory {
  /** As of the start; null = never signed. */
  readonly mark: CosignMark | null;
  /** `done` comes later, when the mark is durable; a failed write poisons the volume instead. */
  readonly save: (mark: CosignMark, done: () => void) => void;
}

/** What cosigning needs of its world; without it a replica signs nothing. */
export interface CosignPorts {
  /** Ed25519 with this replica's key. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly tools: ProofCrypto;
  readonly memory: CosignMemory;
}

/** A signed checkpoint that has its cosignatures. */
export interface SignedHead {
  readonly size: number;
  /** When it was complete here, seconds since 1970. */
  readonly timeS: number;
  /** The note. */
  readonly text: string;
}

/** A cosignature without its envelope. */
export type Cosign = Pick<
  Extract<PeerMessage, { kind: "cosign" }>,
  "size" | "root" | "timeS" | "signature"
>;

/** A cosignature and the public key with which it was found right; null = not looked at. */
interface KeptCosign {
  readonly cosign: Cosign;
  readonly key: string | null;
}

/** What {@link Cosigning} is made of. */
export interface CosigningOptions {
  readonly ports: CosignPorts;
  readonly replica: ReplicaIndex;
  readonly origin: string;
  /**
   * Ed25519 keys of the three members now, 64 hex digits each; null while one is not known: its
   * REPLACE is in the log without its body.
   */
  readonly publicKeys: () => readonly string[] | null;
  readonly wallUs: () => number;
  readonly nowMs: () => number;
  /** A lost cosignature is sent again after this long, ms. */
  readonly cosignResendMs: number;
  /** To both peers; may get lost. */
  readonly broadcast: (cosign: Cosign) => void;
  readonly alarm: (what: string) => void;
}

/** Sizes that wait for cosignatures at most. */
const sizesMax = 16;

/**
 * Signs heads of the shard's log and collects two replicas' cosignatures. One rule makes a fork
 * impossible to cosign: before a signature leaves, the head is durable, and no head is signed that
 * is smaller than the durable one, or as large with another root. (That a larger one extends it
 * is the caller's check, once a start: {@link mark}.)
 */
export class Cosigning {
  /** Newest checkpoint that was complete, and the key of each replica whose signature it bears. */
  private made: {
    readonly head: SignedHead;
    readonly signers: ReadonlyMap<ReplicaIndex, string>;
  } | null = null;
  private readonly options: CosigningOptions;
  /** Durable. */
  private durable: CosignMark | null;
  /** The own cosignature of the newest head that was signed in this life. */
  private own: Cosign | null = null;
  /** Own key when that was signed; null = it was not known. */
  private ownKey: string | null = null;
  private next: LedgerHead | null = null;
  private saving = false;
  /** True when this history is not what was signed: nothing is signed any more. */
  forked = false;
  /** Peers of which it was said that they sign another history. */
  private readonly strangers = new Set<ReplicaIndex>();
  private sentMs = Number.NEGATIVE_INFINITY;
  /** By size, then replica: whatever their root. */
  private readonly cosigns = new Map<number, Map<ReplicaIndex, KeptCosign>>();

  constructor(options: CosigningOptions) {
    this.options = options;
    this.durable = options.ports.memory.mark;
  }

  /**
   * Newest checkpoint with the cosignatures of two members, or null. A member that was replaced
   * has another key now: what bears the former one's signature does not verify with the keys that
   * are published, so it is not handed out until the members of now have signed.
   */
  get latest(): SignedHead | null {
    if (this.made === null) return null;
    const keys = this.options.publicKeys();
    for (const [from, key] of this.made.signers) if (keys?.[from] !== key) return null;
    return this.made.head;
  }

  /** Newest head that this replica ever signed; null = none. */
  get mark(): CosignMark | null {
    return this.durable;
  }

  /** Size of the own newest cosignature of this life. */
  get ownSize(): number {
    return this.own?.size ?? 0;
  }

  /** When {@link tick} is wanted, monotonic ms. */
  get deadlineMs(): number {
    const waiting = this.own !== null && this.own.size > (this.latest?.size ?? 0);
    return waiting ? this.sentMs + this.options.cosignResendMs : Number.POSITIVE_INFINITY;
  }

  /** This history and the signed one differ: nothing is signed any more. */
  fork(what: string): void {
    if (this.forked) return;
    this.forked = true;
    this.options.alarm(`fork of the shard's log: ${what}; this replica signs no checkpoint`);
  }

  /** A head of this replica's log: is signed when its turn comes; only the newest is kept. */
  sign(head: LedgerHead): void {
    this.next = head;
    this.pump();
  }

  private pump(): void {
    const head = this.next;
    if (head === null || this.saving || this.forked) return;
    this.next = null;
    const root = checksumFrom(hexFrom(head.root));
    const { durable } = this;
    if (durable !== null && head.size < durable.size) return;
    if (durable !== null && head.size === durable.size) {
      if (durable.root === root) this.release({ size: head.size, root });
      else this.fork(`two roots of ${head.size} leaves`);
      return;
    }
    this.saving = true;
    const hasty =
      (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("cosign_before_durable");
    if (hasty) {
      this.durable = { size: head.size, root };
      this.release(this.durable);
    }
    this.options.ports.memory.save({ size: head.size, root }, () => {
      this.saving = false;
      this.durable = { size: head.size, root };
      this.release(this.durable);
      this.pump();
    });
  }

  /** The head is durable: its signature may leave. */
  private release(mark: CosignMark): void {
    assert(this.durable?.root === mark.root, "SRV-10: signed heads are durable first");
    const timeS = Math.floor(this.options.wallUs() / 1_000_000);
    const message = cosignedMessage(timeS, this.textOf(mark));
    const signature = this.options.ports.sign(message);
    this.own = { ...mark, timeS, signature };
    this.ownKey = this.options.publicKeys()?.[this.options.replica] ?? null;
    this.keep(this.options.replica, this.own, null);
    this.send();
  }

  private textOf({ size, root }: CosignMark): string {
    return checkpointText({ origin: this.options.origin, size, root: bytesFromHex(root) });
  }

  private send(): void {
    if (this.own === null) return;
    this.sentMs = this.options.nowMs();
    this.options.broadcast(this.own);
  }

  /** A peer's cosignature; its frame was authenticated, its signature is checked here. */
  receive(from: ReplicaIndex, cosign: Cosign): void {
    const key = this.options.publicKeys()?.[from];
    if (key === undefined || from === this.options.replica) return;
    const known = this.cosigns.get(cosign.size)?.get(from);
    // Under another key it is the first of a new member.
    const again = known?.key === key && known.cosign.root === cosign.root;
    if (!again) {
      const message = cosignedMessage(cosign.timeS, this.textOf(cosign));
      const right = this.options.ports.tools.verify(bytesFromHex(key), message, cosign.signature);
      const blind = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("cosign_unchecked");
      if (right || blind) this.keep(from, cosign, key);
      return;
    }
    // It asks a second time: ours got lost.
    const lately = this.options.nowMs() - this.sentMs < this.options.cosignResendMs / 2;
    if (this.own?.size === cosign.size && !lately) this.send();
  }

  /** Asks again for what is missing. */
  tick(): void {
    if (this.options.nowMs() < this.deadlineMs) return;
    const { own, durable } = this;
    const key = this.options.publicKeys()?.[this.options.replica];
    // Under a key that this replica has no more it completes nothing: signed once more.
    const stale = key !== undefined && key !== this.ownKey;
    if (stale && own !== null && durable?.size === own.size) {
      this.release(durable);
      return;
    }
    // The members may be known, or be others, since the last cosignature came.
    if (own !== null) this.complete(own.size);
    this.send();
  }

  private keep(from: ReplicaIndex, cosign: Cosign, key: string | null): void {
    const bySize = this.cosigns.get(cosign.size) ?? new Map<ReplicaIndex, KeptCosign>();
    this.cosigns.set(cosign.size, bySize);
    bySize.set(from, { cosign, key });
    if (this.cosigns.size > sizesMax) {
      this.cosigns.delete(Math.min(...this.cosigns.keys()));
    }
    this.complete(cosign.size);
  }

  /**
   * Those who signed a size with the keys that they have now. A signature waits while members are
   * replaced: one of a former key is forgotten, or it would go out under the new key's name.
   */
  private signersOf(size: number, publicKeys: readonly string[]): Map<ReplicaIndex, KeptCosign> {
    const bySize = this.cosigns.get(size) ?? new Map<ReplicaIndex, KeptCosign>();
    for (const [from, { cosign, key }] of bySize) {
      const now = publicKeys[from];
      assert(now !== undefined, "SRV-10: cosigners are members");
      if (key === now) continue;
      const message = cosignedMessage(cosign.timeS, this.textOf(cosign));
      const { verify } = this.options.ports.tools;
      if (!verify(bytesFromHex(now), message, cosign.signature)) bySize.delete(from);
      else bySize.set(from, { cosign, key: now });
    }
    return bySize;
  }

  private complete(size: number): void {
    if (size <= (this.latest?.size ?? -1)) return;
    if (this.cosigns.get(size)?.has(this.options.replica) !== true) return;
    const publicKeys = this.options.publicKeys();
    const keys = this.keys();
    // The next head is complete as soon as all members are known again.
    if (publicKeys === null || keys === null) return;
    const kept = this.signersOf(size, publicKeys);
    const own = kept.get(this.options.replica);
    // Null: another has this replica's place by now.
    if (own === undefined) return;
    const equal: [ReplicaIndex, KeptCosign][] = [];
    for (const [from, one] of kept) {
      if (one.cosign.root === own.cosign.root) equal.push([from, one]);
      else this.distrust(from, size);
    }
    if (equal.length < cosignersMinDefault) return;
    this.publish(own, equal.slice(0, cosignersMinDefault), keys);
    for (const older of this.cosigns.keys()) if (older < size) this.cosigns.delete(older);
  }

  private publish(
    own: KeptCosign,
    cosigns: readonly (readonly [ReplicaIndex, KeptCosign])[],
    keys: readonly VerifierKey[],
  ): void {
    const { replica, ports, wallUs } = this.options;
    const { size } = own.cosign;
    const text = this.textOf(own.cosign);
    const signers = new Map<ReplicaIndex, string>();
    // The log's signature is by the own key.
    for (const [from, { key }] of [[replica, own] as const, ...cosigns]) {
      const member = keys[2 * from]?.publicKey;
      assert(key !== null && member !== undefined, "SRV-10: cosigners are members");
      assert(key === hexFrom(member), "SRV-12: signed with the key that the member has now");
      signers.set(from, key);
    }
    const log = keys[2 * replica];
    assert(log !== undefined, "SRV-10: this replica is a member");
    const signature = ports.sign(utf8From(text));
    const signatures = [{ name: log.name, keyId: log.keyId, bytes: signature }];
    for (const [from, { cosign }] of cosigns) {
      const key = keys[2 * from + 1];
      assert(key !== undefined, "SRV-10: cosigners are members");
      const bytes = cosignatureBytes(cosign.timeS, cosign.signature);
      signatures.push({ name: key.name, keyId: key.keyId, bytes });
    }
    const timeS = Math.floor(wallUs() / 1_000_000);
    this.made = { head: { size, timeS, text: formatNote({ text, signatures }) }, signers };
  }

  /** Two of three decide; the odd one is found by the checkpoints of the machine (A7). */
  private distrust(from: ReplicaIndex, size: number): void {
    if (this.strangers.has(from)) return;
    this.strangers.add(from);
    this.options.alarm(`replica ${from} signed another root of ${size} leaves of the log`);
  }

  /** Verifier keys: of each replica as the log, then as cosigner; null while one is not known. */
  keys(): readonly VerifierKey[] | null {
    const { origin, publicKeys, ports } = this.options;
    const keys = publicKeys()?.flatMap((hex, replica) => {
      const key = bytesFromHex(hex);
      const { ed25519, cosignature } = signatureTypes;
      const name = cosignerName(origin, replica);
      return [
        verifierKeyOf(ports.tools.sha256, origin, ed25519, key),
        verifierKeyOf(ports.tools.sha256, name, cosignature, key),
      ];
    });
    if (keys === undefined) return null;
    assert(keys.length === 2 * replicasCount, "SRV-10: three members");
    return keys;
  }
}
