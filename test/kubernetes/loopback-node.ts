import type { ApiClient } from "./api-client.ts";

/** A node that no kubelet stands behind: pods are scheduled to it, the test says how they fare. */
export interface LoopbackNode {
  readonly name: string;
  readonly zone: string;
  /** Its InternalIP. */
  readonly address: string;
}

/**
 * Creates the Node, Ready and with room for pods. The node-lifecycle controller of the loopback
 * control plane never doubts it.
 */
export async function createLoopbackNode(api: ApiClient, node: LoopbackNode): Promise<void> {
  const object = {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: node.name,
      labels: {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": node.zone,
      },
    },
  };
  const created = await api.send("POST", "/api/v1/nodes", object);
  if (created.status !== 201) throw refusal(node, created.body);
  const room = { cpu: "8", memory: "32Gi", pods: "110", "ephemeral-storage": "100Gi" };
  const status = {
    capacity: room,
    allocatable: room,
    addresses: [
      { type: "InternalIP", address: node.address },
      { type: "Hostname", address: node.name },
    ],
    conditions: [{ type: "Ready", status: "True", reason: "Test", message: "Played by the test." }],
  };
  const path = `/api/v1/nodes/${node.name}/status`;
  const patched = await api.send(
    "PATCH",
    path,
    { status },
    "application/strategic-merge-patch+json",
  );
  if (patched.status !== 200) throw refusal(node, patched.body);
}

function refusal(node: LoopbackNode, body: unknown): Error {
  return new Error(`Cannot create node ${node.name}: ${JSON.stringify(body)}`);
}
