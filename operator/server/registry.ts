import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { RoomShardStatus } from "#operator/api/room-shard.ts";
import { phases } from "#operator/api/room-shard.ts";
import type { ReconcileMetrics } from "#operator/reconcile/context.ts";
import { operatorMetrics } from "./metrics.ts";

const controller = "roomshard";

/** What the operator counts, ready to be scraped. */
export interface OperatorRegistry extends ReconcileMetrics {
  request(method: string, status: number): void;
  elected(is: boolean): void;
  watchAlive(kind: string): void;
  /** Text exposition; the arguments are read at that moment. */
  scrape(queueDepth: number, statuses: readonly (RoomShardStatus | undefined)[]): Promise<string>;
}

function names(definition: {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}) {
  const { name, help, labels } = definition;
  return { name, help, labelNames: [...labels] };
}

/** Registers every metric of {@link operatorMetrics}. */
export function operatorRegistry(): OperatorRegistry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const count = (definition: Parameters<typeof names>[0]) =>
    new Counter<string>({ ...names(definition), registers });
  const measure = (definition: Parameters<typeof names>[0]) =>
    new Gauge<string>({ ...names(definition), registers });
  const action = count(operatorMetrics.action);
  const deferred = count(operatorMetrics.gateDeferred);
  const rounds = count(operatorMetrics.reconcile);
  const requests = count(operatorMetrics.requests);
  const shards = measure(operatorMetrics.shards);
  const depth = measure(operatorMetrics.queueDepth);
  const leader = measure(operatorMetrics.leader);
  const lastEvent = measure(operatorMetrics.lastEvent);
  const buckets = [...operatorMetrics.reconcileSeconds.buckets];
  const seconds = new Histogram<string>({
    ...names(operatorMetrics.reconcileSeconds),
    buckets,
    registers,
  });
  leader.set({ name: controller }, 0);
  return {
    action: (what, reason, result) => action.inc({ action: what, reason, result }),
    gateDeferred: (gate) => deferred.inc({ gate }),
    reconciled: (result, took) => {
      rounds.inc({ controller, result });
      seconds.observe({ controller }, took);
    },
    request: (method, status) => requests.inc({ method, code: status === 0 ? "<error>" : status }),
    elected: (is) => leader.set({ name: controller }, is ? 1 : 0),
    watchAlive: (kind) => lastEvent.set({ kind }, Date.now() / 1000),
    scrape: (queueDepth, statuses) => {
      depth.set({ name: controller }, queueDepth);
      for (const phase of phases) {
        const many = statuses.filter((status) => status?.phase === phase).length;
        shards.set({ phase }, many);
      }
      return registry.metrics();
    },
  };
}
