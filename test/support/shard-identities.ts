import { createServer } from "node:net";
import { Authority, createAuthority } from "#operator/pki/authority.ts";
import { incarnationFrom, replicaFrom } from "#replica/base/brands.ts";
import { volumeKeyFromPem } from "#replica/crypto/volume-key.ts";
import type { OwnKey } from "#replica/transport/peer-scope.ts";
import type { TlsMaterial } from "#replica/transport/tls-options.ts";
import type { Member } from "#replica/wire/superblock.ts";

/** A process's certificate with its key. */
export interface TestIdentity {
  readonly tls: TlsMaterial;
  readonly key: NonNullable<ReturnType<typeof volumeKeyFromPem>>;
}

/** Certificates of one cluster, as the operator would issue them. */
export class TestAuthority {
  readonly cluster: string;
  private readonly authority: Authority;

  private constructor(cluster: string, authority: Authority) {
    this.cluster = cluster;
    this.authority = authority;
  }

  static async create(cluster = "00112233445566778899aabbccddeeff"): Promise<TestAuthority> {
    const opened = await Authority.open(await createAuthority(cluster, Date.now()));
    if (!opened.ok) throw new Error(opened.reason);
    return new TestAuthority(cluster, opened.value);
  }

  /** A fresh key certified for the path behind `tigerchat://<cluster>/`. */
  async issue(path: string, cluster = this.cluster): Promise<TestIdentity> {
    const issued = await this.authority.issue(`tigerchat://${cluster}/${path}`, Date.now());
    const key = volumeKeyFromPem(issued.key);
    if (key === null) throw new Error("no Ed25519 key");
    const ca = this.authority.certificatePem;
    return { tls: { key: issued.key, cert: issued.certificate, ca }, key };
  }
}

/** The member that an identity is at an index. */
export function memberOf(replica: number, identity: TestIdentity): Member {
  return {
    replica: replicaFrom(replica),
    incarnation: incarnationFrom(identity.key.incarnation),
    publicKey: identity.key.publicKey,
  };
}

/** The key of an identity as a replica's network takes it, or with another certificate. */
export function ownKeyOf({ key }: TestIdentity, tls: TlsMaterial): OwnKey {
  const { publicKey } = volumeKeyFromPem(tls.key) ?? key;
  return { publicKey, privateKey: key.privateKey, tls };
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Waits until a condition holds; rejects after `timeoutMs` with what it waited for. */
export async function until(what: string, holds: () => boolean, timeoutMs = 5000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
