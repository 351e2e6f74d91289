import { marks } from "./names.ts";

/** Name of the replica's application in `app.kubernetes.io/name`. */
export const replicaApp = "tigerchat-replica";
/** Name of the edge's application. */
export const edgeApp = "tigerchat-edge";
/** Name of the operator's application. */
export const operatorApp = "tigerchat-operator";

/** What selects the pods and claims of a shard. Never changes: a StatefulSet's selector cannot. */
export function shardSelector(shard: string): Record<string, string> {
  return { "app.kubernetes.io/name": replicaApp, "app.kubernetes.io/instance": shard };
}

/** Labels of every object of a shard. */
export function shardLabels(shard: string, fleet: string): Record<string, string> {
  return {
    ...shardSelector(shard),
    "app.kubernetes.io/part-of": "tigerchat",
    "app.kubernetes.io/managed-by": operatorApp,
    [marks.shard]: shard,
    [marks.fleet]: fleet,
  };
}

/** Labels of every object of a fleet. */
export function fleetLabels(fleet: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": "tigerchat",
    "app.kubernetes.io/part-of": "tigerchat",
    "app.kubernetes.io/managed-by": operatorApp,
    [marks.fleet]: fleet,
  };
}
