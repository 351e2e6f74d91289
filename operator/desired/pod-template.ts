import { replicasCount } from "#replica/base/limits.ts";
import type { RoomShard, RoomShardSpec } from "#operator/api/room-shard.ts";
import { shardLabels, shardSelector } from "./labels.ts";
import { fleetNames, marks, ports, shardNames } from "./names.ts";

/** Paths inside a replica's container. */
export const paths = {
  config: "/etc/tigerchat/config/replica.json",
  trust: "/etc/tigerchat/trust/ca.crt",
  kek: "/etc/tigerchat/keys/kek",
  bootstrap: "/etc/tigerchat/bootstrap/bootstrap",
  data: "/var/lib/tigerchat",
  state: "/run/tigerchat",
  terminationLog: "/dev/termination-log",
} as const;

/** What a template needs besides the manifest. */
export interface TemplateInputs {
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  readonly hash: string;
}

/** User and group of every process of ours, as in the images. */
export const userId = 65532;

function probe(path: string, periodSeconds: number, failureThreshold: number) {
  const httpGet = { path, port: "metrics" };
  return { httpGet, periodSeconds, timeoutSeconds: 5, failureThreshold };
}

function container(shard: RoomShard, inputs: TemplateInputs) {
  const { limits, requests } = shard.spec.resources;
  return {
    name: "replica",
    image: inputs.image,
    imagePullPolicy: inputs.imagePullPolicy,
    args: [
      ...["--config", paths.config],
      ...["--replica", "$(REPLICA)"],
      ...["--data", paths.data],
      ...["--state", paths.state],
      ...["--termination-log", paths.terminationLog],
    ],
    env: [
      {
        name: "REPLICA",
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" } },
      },
    ],
    ports: Object.entries(ports).map(([name, containerPort]) => ({
      name,
      containerPort,
      protocol: "TCP",
    })),
    resources: { requests: { ...requests }, limits: { ...limits } },
    // Recovery and the fetch of a checkpoint take long; nothing may restart a replica meanwhile.
    startupProbe: probe("/healthz", 2, 1800),
    // The event loop turns; never quorum, or a shard without one is restarted for ever.
    livenessProbe: probe("/healthz", 10, 3),
    readinessProbe: probe("/readyz", 2, 2),
    terminationMessagePath: paths.terminationLog,
    terminationMessagePolicy: "File",
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "data", mountPath: paths.data },
      { name: "state", mountPath: paths.state },
      { name: "config", mountPath: "/etc/tigerchat/config", readOnly: true },
      { name: "trust", mountPath: "/etc/tigerchat/trust", readOnly: true },
      { name: "keys", mountPath: "/etc/tigerchat/keys", readOnly: true },
      { name: "bootstrap", mountPath: "/etc/tigerchat/bootstrap", readOnly: true },
    ],
  };
}

function affinity(shard: RoomShard) {
  const term = {
    labelSelector: { matchLabels: shardSelector(shard.metadata.name) },
    topologyKey: "kubernetes.io/hostname",
  };
  if (shard.spec.scheduling.hosts === "Required") {
    return { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  }
  const preferred = [{ weight: 100, podAffinityTerm: term }];
  return { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } };
}

function placement(scheduling: RoomShardSpec["scheduling"]) {
  const { nodeSelector, tolerations, priorityClassName } = scheduling;
  return {
    ...(nodeSelector === undefined ? {} : { nodeSelector: { ...nodeSelector } }),
    ...(tolerations === undefined ? {} : { tolerations: tolerations.map((one) => ({ ...one })) }),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
  };
}

function volumes(shard: RoomShard) {
  const names = shardNames(shard.metadata.name, shard.spec.encryption?.keySecretName);
  // Readable by the group only: the process's, by fsGroup.
  const defaultMode = 0o440;
  return [
    { name: "state", emptyDir: { sizeLimit: "16Mi" } },
    { name: "config", configMap: { name: names.config, defaultMode } },
    { name: "trust", configMap: { name: fleetNames(shard.spec.fleet).trust, defaultMode } },
    { name: "keys", secret: { secretName: names.keys, defaultMode } },
    { name: "bootstrap", secret: { secretName: names.bootstrap, defaultMode } },
  ];
}

/** The pod template of a shard's replicas; satisfies Pod Security "restricted". */
export function podTemplateOf(shard: RoomShard, inputs: TemplateInputs) {
  const { metadata, spec } = shard;
  return {
    metadata: {
      labels: shardLabels(metadata.name, spec.fleet),
      annotations: { [marks.templateHash]: inputs.hash } as Record<string, string>,
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      // SIGTERM hands the primary over, within 20 s; then the files are closed.
      terminationGracePeriodSeconds: 60,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: userId,
        runAsGroup: userId,
        fsGroup: userId,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      ...(inputs.imagePullSecrets.length === 0
        ? {}
        : { imagePullSecrets: inputs.imagePullSecrets.map((name) => ({ name })) }),
      ...placement(spec.scheduling),
      affinity: affinity(shard),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          minDomains: spec.scheduling.zones === "Required" ? replicasCount : undefined,
          topologyKey: "topology.kubernetes.io/zone",
          whenUnsatisfiable:
            spec.scheduling.zones === "Required" ? "DoNotSchedule" : "ScheduleAnyway",
          labelSelector: { matchLabels: shardSelector(metadata.name) },
        },
      ],
      containers: [container(shard, inputs)],
      volumes: volumes(shard),
    },
  };
}

/** A pod template. */
export type PodTemplate = ReturnType<typeof podTemplateOf>;
