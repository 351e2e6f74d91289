import { group } from "#operator/api/room-shard.ts";
import { crdName, plural } from "#operator/api/crd.ts";
import { marks } from "./names.ts";

const allowed =
  "has(oldObject.metadata.annotations) && " +
  `'${marks.allowDelete}' in oldObject.metadata.annotations`;

// Without a quorum nobody says what a shard owns: only one that never formed, or that says that it
// owns none, is free to go.
const ownsSlots =
  "has(oldObject.status) && has(oldObject.status.phase) && " +
  "!(oldObject.status.phase in ['Pending', 'Forming']) && " +
  "!(has(oldObject.status.slots) && oldObject.status.slots.owned == 0)";

/**
 * The ValidatingAdmissionPolicy that refuses to delete a shard that owns slots, and the definition
 * of its kind, without the annotation that allows it. A finalizer would only hang: a delete cannot
 * be taken back.
 */
export function deletionPolicyOf(name: string) {
  const rule = (apiGroups: string[], resources: string[]) => ({
    apiGroups,
    apiVersions: ["*"],
    operations: ["DELETE"],
    resources,
    scope: "*",
  });
  const annotate = `annotate it with ${marks.allowDelete} first`;
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: { name },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: {
        resourceRules: [
          rule([group], [plural]),
          // Not by resourceNames: deleting the whole collection names nothing.
          rule(["apiextensions.k8s.io"], ["customresourcedefinitions"]),
        ],
      },
      validations: [
        {
          expression: `request.resource.group != '${group}' || !(${ownsSlots}) || (${allowed})`,
          message: `This RoomShard owns slots with rooms in them; to delete it, ${annotate}.`,
          reason: "Forbidden",
        },
        {
          expression: `oldObject.metadata.name != '${crdName}' || (${allowed})`,
          message: `Deleting ${crdName} deletes every RoomShard; to do so, ${annotate}.`,
          reason: "Forbidden",
        },
      ],
    },
  };
}

/** What puts the policy into force. */
export function deletionBindingOf(name: string) {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: { name },
    spec: { policyName: name, validationActions: ["Deny"] },
  };
}
