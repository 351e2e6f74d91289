import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  certificateFacts,
  makeVolumeKey,
  type VolumeKey,
  volumeKeyFromPem,
} from "#replica/crypto/volume-key.ts";
import { makeDirectory, readText, replaceFile } from "./durable-file.ts";

/** A volume whose files contradict themselves; the message is for a person. */
export class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** The small files of a data directory: the key, its certificate; never the log. */
export class Volume {
  readonly data: string;
  private readonly keyPath: string;
  private readonly certificatePath: string;
  private readonly genesisPath: string;

  /** Makes the directory and `keys/` in it, readable by the owner only. */
  constructor(data: string) {
    this.data = data;
    makeDirectory(join(data, "keys"));
    this.keyPath = join(data, "keys", "replica.key");
    this.certificatePath = join(data, "keys", "replica.crt");
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
    replaceFile(this.keyPath, key.privatePem, 0o600);
    return key;
  }

  /**
   * The PEM chain that the operator installed last. Null when there is none, and when it is damaged
   * or of another key: a certificate is no truth of the volume's own, it is asked for again.
   */
  loadCertificate(): string | null {
    const pem = readText(this.certificatePath);
    const key = pem === null ? null : this.loadKey();
    if (pem === null || key === null) return null;
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
