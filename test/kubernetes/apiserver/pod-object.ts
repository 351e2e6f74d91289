/** A pod as the test reads it; the fields that the operator's templates use. */
export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly terminationGracePeriodSeconds?: number;
    readonly containers: readonly {
      readonly name: string;
      readonly image: string;
      readonly args?: readonly string[];
      readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
    }[];
    readonly volumes?: readonly PodVolume[];
  };
}

/** One volume of a pod. */
export interface PodVolume {
  readonly name: string;
  readonly emptyDir?: object;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string };
  readonly persistentVolumeClaim?: { readonly claimName: string };
}

/** State of the one container, as a kubelet reports it. */
export interface ContainerReport {
  readonly state:
    | { readonly waiting: { readonly reason: string } }
    | { readonly running: { readonly startedAt: string } }
    | { readonly terminated: { readonly exitCode: number; readonly message: string } };
  readonly lastState: object;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
}

/** The status of a pod, as a kubelet writes it. */
export function podStatus(pod: PodObject, address: string, container: ContainerReport): object {
  const running = "running" in container.state;
  const now = new Date().toISOString().replace(/\.\d{3}Z$/, "Z");
  const condition = (type: string, holds: boolean) => ({
    type,
    status: holds ? "True" : "False",
    lastTransitionTime: now,
  });
  const [spec] = pod.spec.containers;
  return {
    phase: running || container.restartCount > 0 ? "Running" : "Pending",
    podIP: address,
    podIPs: [{ ip: address }],
    hostIP: address,
    conditions: [
      condition("Initialized", true),
      condition("ContainersReady", container.ready),
      condition("Ready", container.ready),
    ],
    containerStatuses: [
      {
        name: spec?.name,
        image: spec?.image,
        imageID: spec?.image,
        containerID: `test://${pod.metadata.uid}/${container.restartCount}`,
        ...container,
      },
    ],
  };
}
