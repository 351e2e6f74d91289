import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  certificateFacts,
  makeVolumeKey,
  type VolumeKey,
  volumeKeyFromPem,
} from "#replica/crypto/volume-key.ts";
import { makeDirectory, moveFile, readText, replaceFile } from "./durable-file.ts";

/** A volume whose files contradict themselves; the message is for a person. */
export class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** The small files of a data directory: the key, its certificate; never the log. */
export class Volume {
  readonly data: string;
  private readonly keyPath: string;
  private readonly certificatePath: string;
  private readonly nextKeyPath: string;
  private readonly nextCertificatePath: string;
  private readonly genesisPath: string;

  /** Makes the directory and `keys/` in it, readable by the owner only. */
  constructor(data: string) {
    this.data = data;
    makeDirectory(join(data, "keys"));
    this.keyPath = join(data, "keys", "replica.key");
    this.certificatePath = join(data, "keys", "replica.crt");
    this.nextKeyPath = join(data, "keys", "next.key");
    this.nextCertificatePath = join(data, "keys", "next.crt");
    this.genesisPath = join(data, "keys", "genesis.json");
  }

  /** True when genesis or a replacement has been here. */
  get formatted(): boolean {
    return existsSync(join(this.data, "superblock"));
  }

  /** The volume's key, or null before the first POST /v1/identity. Throws {@link VolumeError}. */
  loadKey(): VolumeKey | null {
    const pem = readText(this.keyPath);
    if (pem === null && this.formatted) throw this.lostKey();
    if (pem === null) return null;
    const key = volumeKeyFromPem(pem);
    if (key !== null) return key;
    throw new VolumeError(
      `${this.keyPath} is damaged: it holds no Ed25519 key; replace this replica's volume.`,
    );
  }

  /** Makes the key of an unformatted volume, durably. */
  makeKey(): VolumeKey {
    if (this.formatted) throw this.lostKey();
    const key = makeVolumeKey();
    replaceFile(this.keyPath, key.fileText, 0o600);
    return key;
  }

  /** The key that a rotation made and that has not taken its place yet, or null. */
  loadNextKey(): VolumeKey | null {
    const pem = readText(this.nextKeyPath);
    if (pem === null) return null;
    const key = volumeKeyFromPem(pem);
    if (key !== null) return key;
    throw new VolumeError(
      `${this.nextKeyPath} is damaged: it holds no Ed25519 key; replace this replica's volume.`,
    );
  }

  /** Makes the next key of the volume, durably, before anybody hears of it. */
  makeNextKey(incarnation: VolumeKey["incarnation"]): VolumeKey {
    const key = makeVolumeKey(incarnation);
    replaceFile(this.nextKeyPath, key.fileText, 0o600);
    return key;
  }

  /** The certificate of the next key, or null. */
  loadNextCertificate(key: VolumeKey): string | null {
    return this.certificateOf(key, readText(this.nextCertificatePath));
  }

  /** Installs the certificate of the next key, durably. */
  saveNextCertificate(pem: string): void {
    replaceFile(this.nextCertificatePath, pem, 0o600);
  }

  /** The next key and its certificate take the former ones' files; the key first. */
  promoteNext(): void {
    moveFile(this.nextKeyPath, this.keyPath);
    moveFile(this.nextCertificatePath, this.certificatePath);
  }

  /**
   * The PEM chain that the operator installed last. Null when there is none, and when it is damaged
   * or of another key: a certificate is no truth of the volume's own, it is asked for again.
   */
  loadCertificate(): string | null {
    const key = this.loadKey();
    if (key === null) return null;
    const pem = this.certificateOf(key, readText(this.certificatePath));
    if (pem !== null) return pem;
    // A rotation was cut off between its two moves.
    const moved = this.loadNextCertificate(key);
    if (moved !== null) moveFile(this.nextCertificatePath, this.certificatePath);
    return moved;
  }

  private certificateOf(key: VolumeKey, pem: string | null): string | null {
    if (pem === null) return null;
    return certificateFacts(pem)?.publicKey === key.publicKey ? pem : null;
  }

  /** Installs a PEM chain, durably. */
  saveCertificate(pem: string): void {
    replaceFile(this.certificatePath, pem, 0o600);
  }

  private lostKey(): VolumeError {
    return new VolumeError(
      `${this.keyPath} is missing from a formatted volume; replace this replica's volume.`,
    );
  }

  /** What genesis was asked for here, as JSON text, or null. */
  loadGenesis(): string | null {
    return readText(this.genesisPath);
  }

  /** Records what genesis is asked for, before anything is formatted. */
  saveGenesis(json: string): void {
    replaceFile(this.genesisPath, json, 0o600);
  }
}
