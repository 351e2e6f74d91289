import { certificateFacts, type VolumeKey } from "#replica/crypto/volume-key.ts";
import type { OwnKey } from "#replica/transport/peer-scope.ts";
import type { TlsMaterial } from "#replica/transport/tls-options.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import type { Volume } from "./volume.ts";

/** A key on the volume, with the certificate that it got; null before that. */
export interface HeldKey {
  readonly key: VolumeKey;
  /** PEM. */
  readonly chain: string | null;
}

/**
 * The keys of one volume: `keys/replica.key`, and beside it `keys/next.key` while the key changes.
 * Which of the two counts is not decided here: the log says so (REKEY), and every step is found
 * again after a crash from the two files and the log.
 */
export class VolumeKeys {
  private readonly volume: Volume;
  private first: HeldKey | null;
  private second: HeldKey | null;
  /** The own key by what is executed of the log; null before the volume is open. */
  private executed: string | null = null;

  /** Reads the files. */
  constructor(volume: Volume) {
    this.volume = volume;
    const key = volume.loadKey();
    const next = volume.loadNextKey();
    this.first = key === null ? null : { key, chain: volume.loadCertificate() };
    this.second = next === null ? null : { key: next, chain: volume.loadNextCertificate(next) };
  }

  /** The key that counts now; null before the volume's first one was made. */
  get active(): HeldKey | null {
    const { first, second, executed } = this;
    return second !== null && second.key.publicKey === executed ? second : first;
  }

  /** The key that a rotation made and that has not taken the former one's file yet, or null. */
  get next(): HeldKey | null {
    return this.second;
  }

  /** The key of the volume's file: that which a rotation retires, while there is a next one. */
  get former(): HeldKey | null {
    return this.first;
  }

  /** The held key of that public half, or null. */
  held(publicKey: string): HeldKey | null {
    const both = [this.first, this.second];
    return both.find((one) => one?.key.publicKey === publicKey) ?? null;
  }

  /** Certified keys, that of now first: what connections may have. */
  ownKeys(trust: string): readonly OwnKey[] {
    const { active, first, second } = this;
    const other = active === second ? first : second;
    return [active, other].flatMap((held) => {
      if (held === null || held.chain === null) return [];
      const { publicKey, privateKey, privatePem } = held.key;
      const tls = { key: privatePem, cert: held.chain, ca: trust };
      return [{ publicKey, privateKey, tls }];
    });
  }

  /** Identity for clients, of the key of now as soon as it is certified; null: none is. */
  tls(trust: string): TlsMaterial | null {
    return this.ownKeys(trust)[0]?.tls ?? null;
  }

  /** Makes the key of an unformatted volume, durably. */
  make(): VolumeKey {
    const key = this.volume.makeKey();
    this.first = { key, chain: null };
    return key;
  }

  /** The next key of the volume: made durably when there is none yet. */
  makeNext(before: VolumeKey): VolumeKey {
    this.second ??= { key: this.volume.makeNextKey(before.incarnation), chain: null };
    return this.second.key;
  }

  /** Installs the certificate of one of the keys, durably; null when it is of no key here. */
  install(pem: string): { readonly before: string | null } | null {
    const publicKey = certificateFacts(pem)?.publicKey;
    const { first, second } = this;
    if (second?.key.publicKey === publicKey && second !== null) {
      this.volume.saveNextCertificate(pem);
      this.second = { ...second, chain: pem };
      return { before: second.chain };
    }
    if (first === null || first.key.publicKey !== publicKey) return null;
    this.volume.saveCertificate(pem);
    this.first = { ...first, chain: pem };
    return { before: first.chain };
  }

  /** The superblock's word on which key counts; a sentence when it is none of these. */
  open({ identity, members }: Pick<SuperblockState, "identity" | "members">): string | null {
    const own = this.held(members[identity.replica]?.publicKey ?? "");
    if (own?.key.incarnation !== identity.incarnation) {
      return "The key of the volume is not that of its superblock; this is the wrong volume.";
    }
    this.follow(own.key.publicKey);
    return null;
  }

  /** The log's word on which key counts; true when that is another one than before. */
  follow(publicKey: string): boolean {
    const before = this.active;
    this.executed = publicKey;
    return this.active !== before;
  }

  /** True when the next key counts, so that the former one waits for its end only. */
  get switched(): boolean {
    return this.second !== null && this.active === this.second;
  }

  /** The next key takes the former one's place for ever, which is destroyed by that. */
  settle(): void {
    if (this.second === null || !this.switched) return;
    this.volume.promoteNext();
    this.first = this.second;
    this.second = null;
  }
}
