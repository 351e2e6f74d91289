import { apiVersion, group, kind, version } from "./room-shard.ts";
import { rules } from "./rules.ts";
import type { JsonValue } from "./schema.ts";
import { openApiOf } from "./schema.ts";
import { specSchema } from "./spec-schema.ts";
import { statusSchema } from "./status-schema.ts";

/** Plural of the kind in paths. */
export const plural = "roomshards";
/** Name of the CustomResourceDefinition. */
export const crdName = `${plural}.${group}`;

function column(name: string, type: string, jsonPath: string, description: string, wide = false) {
  return { name, type, jsonPath, description, ...(wide ? { priority: 1 } : {}) };
}

const ready = '.status.conditions[?(@.type=="Ready")]';

const columns = [
  column("Ready", "string", `${ready}.status`, "Whether a quorum serves."),
  column("Phase", "string", ".status.phase", "State of the shard in one word."),
  column("Primary", "integer", ".status.primary", "Replica that is the primary."),
  column("View", "integer", ".status.view", "View of the shard."),
  column("Voting", "string", ".status.voting", "Replicas that vote, of all."),
  column("Slots", "integer", ".status.slots.owned", "Slots that the shard owns."),
  column("Version", "string", ".status.version", "Release that the replicas run."),
  column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
  column("Fleet", "string", ".spec.fleet", "Fleet of the shard.", true),
  column("Tenant", "string", ".spec.tenant", "Tenant of the slot space.", true),
  column("Nodes", "string", ".status.nodes", "Nodes of the replicas.", true),
  column("Reason", "string", `${ready}.reason`, "Why it is ready or not.", true),
];

/** The CustomResourceDefinition of RoomShard, as apiextensions.k8s.io/v1 has it. */
export function roomShardCrd(): { readonly [name: string]: JsonValue } {
  const validations = rules.map((rule) => ({
    rule: rule.cel,
    message: rule.message,
    reason: "FieldValueInvalid",
    ...(rule.fieldPath.startsWith(".spec") ? { fieldPath: rule.fieldPath } : {}),
  }));
  const schema = {
    description: "A shard of rooms: three replicas that agree on one log.",
    type: "object",
    properties: {
      apiVersion: { type: "string", description: `Always ${apiVersion}.` },
      kind: { type: "string", description: `Always ${kind}.` },
      metadata: { type: "object" },
      spec: openApiOf(specSchema),
      status: openApiOf(statusSchema),
    },
    "x-kubernetes-validations": validations,
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: crdName },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: "roomshard",
        shortNames: ["rsh"],
        categories: ["tigerchat"],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}
