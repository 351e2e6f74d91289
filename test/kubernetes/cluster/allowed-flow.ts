/** A pod as network policies see it. */
export interface FlowPod {
  readonly namespace: string;
  readonly labels: { readonly [name: string]: string };
}

interface Selector {
  readonly matchLabels?: { readonly [name: string]: string };
}

interface Peer {
  readonly namespaceSelector?: Selector;
  readonly podSelector?: Selector;
}

interface Port {
  readonly protocol: string;
  readonly port: number;
}

interface Rule {
  readonly ports?: readonly Port[];
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
}

/** networking.k8s.io/v1, as far as our policies use it. */
export interface FlowPolicy {
  readonly metadata: { readonly namespace?: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

/** A connection; an end that is null is no pod: a person, a kubelet, the API server. */
export interface Flow {
  readonly from: FlowPod | null;
  readonly to: FlowPod | null;
  readonly port: number;
  readonly protocol?: string;
}

/**
 * Whether policies let a connection through: its source must be allowed to send and its target to
 * receive; a pod that no policy selects may do both (Kubernetes, "Network Policies").
 */
export function allowedFlow(policies: readonly FlowPolicy[], flow: Flow): boolean {
  return (
    passes(policies, "Egress", flow.from, flow.to, flow) &&
    passes(policies, "Ingress", flow.to, flow.from, flow)
  );
}

function passes(
  policies: readonly FlowPolicy[],
  direction: "Ingress" | "Egress",
  own: FlowPod | null,
  other: FlowPod | null,
  { port, protocol = "TCP" }: Flow,
): boolean {
  if (own === null) return true;
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === own.namespace &&
      matches(spec.podSelector, own.labels) &&
      spec.policyTypes.includes(direction),
  );
  if (selecting.length === 0) return true;
  return selecting.some(({ metadata, spec }) => {
    const rules = (direction === "Ingress" ? spec.ingress : spec.egress) ?? [];
    return rules.some((rule) => {
      const peers = direction === "Ingress" ? rule.from : rule.to;
      const portFits =
        rule.ports?.some((one) => one.port === port && one.protocol === protocol) ?? true;
      return portFits && (peers?.some((peer) => isPeer(peer, other, metadata.namespace)) ?? true);
    });
  });
}

function isPeer(peer: Peer, pod: FlowPod | null, own: string | undefined): boolean {
  if (pod === null) return false;
  const { namespaceSelector, podSelector } = peer;
  const namespace = { "kubernetes.io/metadata.name": pod.namespace };
  const near =
    namespaceSelector === undefined ? pod.namespace === own : matches(namespaceSelector, namespace);
  return near && (podSelector === undefined || matches(podSelector, pod.labels));
}

function matches(selector: Selector, labels: { readonly [name: string]: string }): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  return wanted.every(([name, value]) => labels[name] === value);
}
