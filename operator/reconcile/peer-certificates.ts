import { connect } from "node:tls";
import type { AdminCredentials, AdminTarget } from "#operator/pki/admin-client.ts";
import { renewBeforeMs } from "#operator/pki/authority.ts";
import type { Certification } from "#operator/policy/observed.ts";

const freshMs = 600_000;
const connectTimeoutMs = 5_000;

/** When the certificates of replicas end, asked by a TLS handshake at most every ten minutes. */
export class PeerCertificates {
  private readonly known = new Map<string, { readonly endMs: number; readonly readMs: number }>();

  /** Judges the certificate of a replica that answered with a valid one. */
  async judge(
    podUid: string,
    target: AdminTarget,
    credentials: AdminCredentials,
  ): Promise<Certification> {
    let known = this.known.get(podUid);
    if (known === undefined || performance.now() - known.readMs > freshMs) {
      const endMs = await certificateEnd(target, credentials);
      if (endMs === undefined) return "unknown";
      if (this.known.size > 1000) this.known.clear();
      known = { endMs, readMs: performance.now() };
      this.known.set(podUid, known);
    }
    return known.endMs - Date.now() < renewBeforeMs ? "renew" : "valid";
  }

  /** A new certificate was installed: ask again. */
  forget(podUid: string): void {
    this.known.delete(podUid);
  }
}

function certificateEnd(
  target: AdminTarget,
  credentials: AdminCredentials,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const { host, port } = target;
    const options = {
      ...credentials,
      host,
      port,
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
    };
    const socket = connect({ ...options, minVersion: "TLSv1.3" }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to));
      socket.destroy();
    });
    socket.setTimeout(connectTimeoutMs, () => socket.destroy(new Error("timeout")));
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
  });
}
