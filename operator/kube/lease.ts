import { setTimeout as sleep } from "node:timers/promises";
import { orThrow } from "./answer.ts";
import type { KubeClient } from "./kube-client.ts";
import type { KubeObject } from "./kube-object.ts";
import { kinds } from "./kube-object.ts";
import { microTime } from "./micro-time.ts";

/** Times of an election: client-go's defaults. */
export const leaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 } as const;

/** Who stands for election, and what for. */
export interface LeaseOptions {
  /** A client of its own: a busy reconciler must not delay a renewal. */
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique for each process. */
  readonly identity: string;
}

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/**
 * Election by a Lease. Trusts no other process's clock: a holder is gone when its record has not
 * changed for the lease's duration, by our own clock. Whoever loses must exit; every write of the
 * operator tolerates a second leader for a moment.
 */
export class LeaseElection {
  private readonly options: LeaseOptions;
  private readonly stopping = new AbortController();
  private observed = { record: "", sinceMs: 0 };
  private holding = false;

  constructor(options: LeaseOptions) {
    this.options = options;
  }

  /** Resolves when elected; never when stopped before. */
  async acquire(): Promise<boolean> {
    while (!this.stopping.signal.aborted) {
      if (await this.tryOnce()) {
        this.holding = true;
        return true;
      }
      await this.pause();
    }
    return false;
  }

  /** Keeps the lease; resolves when it is lost or {@link release} was called. */
  async hold(): Promise<void> {
    let renewedMs = performance.now();
    while (!this.stopping.signal.aborted) {
      await this.pause();
      if (this.stopping.signal.aborted) return;
      if (await this.tryOnce()) renewedMs = performance.now();
      else if (performance.now() - renewedMs > leaseTimes.renewDeadlineMs) break;
    }
    this.holding = false;
  }

  /** Stops standing for election and frees the lease, so that a successor need not wait. */
  async release(): Promise<void> {
    this.stopping.abort();
    if (!this.holding) return;
    this.holding = false;
    // A renewal that was under way may change the version in between.
    for (let tries = 0; tries < 3; tries += 1) if (await this.free()) return;
  }

  private async free(): Promise<boolean> {
    const { client, namespace, name, identity } = this.options;
    const found = await client.get<Lease>(kinds.lease, namespace, name);
    if (!found.ok || found.value.spec?.holderIdentity !== identity) return true;
    const spec = { ...found.value.spec, holderIdentity: "", leaseDurationSeconds: 1 };
    const freed: Lease = { ...found.value, spec };
    return (await client.replace(kinds.lease, freed)).ok;
  }

  private async pause(): Promise<void> {
    const jitterMs = Math.random() * 0.2 * leaseTimes.retryMs;
    const { signal } = this.stopping;
    await sleep(leaseTimes.retryMs + jitterMs, undefined, { signal }).catch(() => undefined);
  }

  private async tryOnce(): Promise<boolean> {
    try {
      return await this.attempt();
    } catch {
      // No answer is no lease; the deadline judges how long that may last.
      return false;
    }
  }

  private async attempt(): Promise<boolean> {
    const { client, namespace, name, identity } = this.options;
    const now = microTime(Date.now());
    const found = await client.get<Lease>(kinds.lease, namespace, name);
    const fresh = {
      holderIdentity: identity,
      leaseDurationSeconds: leaseTimes.durationMs / 1000,
      acquireTime: now,
      renewTime: now,
    };
    if (!found.ok) {
      if (found.status !== 404) return false;
      const { apiVersion, kind } = kinds.lease;
      const lease: Lease = {
        apiVersion,
        kind,
        metadata: { name, namespace },
        spec: { ...fresh, leaseTransitions: 0 },
      };
      return (await client.create(kinds.lease, lease)).ok;
    }
    const lease = found.value;
    const spec = lease.spec ?? {};
    const own = spec.holderIdentity === identity;
    if (!own && !this.isFree(spec)) return false;
    const transitions = (spec.leaseTransitions ?? 0) + (own ? 0 : 1);
    const acquireTime = own ? (spec.acquireTime ?? now) : now;
    const next: Lease = {
      ...lease,
      spec: { ...fresh, acquireTime, leaseTransitions: transitions },
    };
    orThrow("renew the lease", await client.replace(kinds.lease, next));
    return true;
  }

  private isFree(spec: NonNullable<Lease["spec"]>): boolean {
    if ((spec.holderIdentity ?? "") === "") return true;
    const record = JSON.stringify(spec);
    if (record !== this.observed.record) {
      this.observed = { record, sinceMs: performance.now() };
      return false;
    }
    const durationMs = (spec.leaseDurationSeconds ?? 15) * 1000;
    return performance.now() - this.observed.sinceMs > durationMs;
  }
}
