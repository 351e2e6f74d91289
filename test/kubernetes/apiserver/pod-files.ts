import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ApiClient } from "../api-client.ts";
import type { PodObject, PodVolume } from "./pod-object.ts";

/** A pod's volumes as folders of this machine. */
export interface PodFiles {
  /** Mount path in the container → folder here. */
  readonly mounts: ReadonlyMap<string, string>;
}

/** Where things lie, and what names mean where there is no cluster DNS. */
export interface PodPlace {
  /** Folder of this life of the pod. */
  readonly dir: string;
  /** Folder of all claims; a claim's folder outlives its pods. */
  readonly claimsDir: string;
  /** Replaces names and addresses in mounted configuration: the played node's DNS. */
  readonly resolve: (text: string) => string;
}

/**
 * Materialises a pod's volumes as a kubelet does. Undefined while something that it mounts does not
 * exist yet: then the container waits.
 */
export async function materialise(
  api: ApiClient,
  pod: PodObject,
  place: PodPlace,
): Promise<PodFiles | undefined> {
  const mounts = new Map<string, string>();
  for (const { name, mountPath } of pod.spec.containers[0]?.volumeMounts ?? []) {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    if (volume === undefined) throw new Error(`Pod ${pod.metadata.name} has no volume ${name}.`);
    const folder = folderOf(pod, volume, place);
    await mkdir(folder, { recursive: true });
    mounts.set(mountPath, folder);
  }
  const here = (text: string): string => {
    let result = place.resolve(text);
    for (const [path, folder] of mounts) result = result.replaceAll(path, folder);
    return result;
  };
  for (const volume of pod.spec.volumes ?? []) {
    const entries = await entriesOf(api, pod, volume);
    if (entries === undefined) return undefined;
    for (const [name, text] of Object.entries(entries)) {
      const file = join(folderOf(pod, volume, place), name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, here(text), { mode: 0o600 });
    }
  }
  return { mounts };
}

/** Replaces container paths by those here, in an argument. */
export function hostPath(files: PodFiles, text: string): string {
  for (const [path, folder] of files.mounts) {
    if (text === path || text.startsWith(`${path}/`)) return folder + text.slice(path.length);
  }
  return text;
}

function folderOf(pod: PodObject, volume: PodVolume, place: PodPlace): string {
  const claim = volume.persistentVolumeClaim;
  if (claim === undefined) return join(place.dir, volume.name);
  return join(place.claimsDir, `${pod.metadata.namespace}-${claim.claimName}`);
}

async function entriesOf(
  api: ApiClient,
  pod: PodObject,
  volume: PodVolume,
): Promise<Readonly<Record<string, string>> | undefined> {
  const base = `/api/v1/namespaces/${pod.metadata.namespace}`;
  if (volume.configMap !== undefined) {
    const found = await api.get(`${base}/configmaps/${volume.configMap.name}`);
    return found === undefined ? undefined : ((found as DataObject).data ?? {});
  }
  if (volume.secret === undefined) return {};
  const found = await api.get(`${base}/secrets/${volume.secret.secretName}`);
  if (found === undefined) return undefined;
  const entries = Object.entries((found as DataObject).data ?? {});
  return Object.fromEntries(
    entries.map(([name, base64]) => [name, Buffer.from(base64, "base64").toString("utf8")]),
  );
}

interface DataObject {
  readonly data?: Readonly<Record<string, string>>;
}
