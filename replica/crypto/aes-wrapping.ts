import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { assert } from "#replica/base/assert.ts";
import { random, sha256Bytes } from "./hash.ts";
import { type KeyWrapping, type NamedKek, wrappedBytes } from "./key-table.ts";
import type { VaultPurpose } from "./vault.ts";

const nonceBytes = 12;
const keyBytes = 32;
const tagBytes = wrappedBytes - nonceBytes - keyBytes;

/** One key-encryption key: AES-256, named by 16 bytes of SHA-256("tigerchat kek", key). */
export interface WrappingKey extends NamedKek {
  readonly key: KeyObject;
}

/** The wrapping key of 32 bytes. */
export function wrappingKeyFrom(bytes: Uint8Array): WrappingKey {
  assert(bytes.length === keyBytes, "CRY-03: a KEK of 32 bytes");
  const id = sha256Bytes(Buffer.concat([Buffer.from("tigerchat kek"), bytes])).subarray(0, 16);
  return { key: createSecretKey(bytes), id };
}

function aadOf(id: number, purpose: VaultPurpose): Uint8Array {
  return Buffer.from(`tigerchat data key ${id} ${purpose}`);
}

/** Random 256-bit data keys under AES-256-GCM; raw bytes are not kept. */
export const aesWrapping: KeyWrapping<WrappingKey, KeyObject> = {
  make() {
    const raw = random(keyBytes);
    const key = createSecretKey(raw);
    raw.fill(0);
    return key;
  },
  wrap(kek, id, purpose, key) {
    const raw = key.export();
    const nonce = random(nonceBytes);
    const cipher = createCipheriv("aes-256-gcm", kek.key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(aadOf(id, purpose));
    const parts = [nonce, cipher.update(raw), cipher.final(), cipher.getAuthTag()];
    raw.fill(0);
    return Buffer.concat(parts);
  },
  unwrap(kek, id, purpose, wrapped) {
    const nonce = wrapped.subarray(0, nonceBytes);
    const decipher = createDecipheriv("aes-256-gcm", kek.key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(aadOf(id, purpose));
    decipher.setAuthTag(wrapped.subarray(nonceBytes + keyBytes));
    try {
      const sealed = wrapped.subarray(nonceBytes, nonceBytes + keyBytes);
      const raw = Buffer.concat([decipher.update(sealed), decipher.final()]);
      const key = createSecretKey(raw);
      raw.fill(0);
      return key;
    } catch {
      return null;
    }
  },
};
