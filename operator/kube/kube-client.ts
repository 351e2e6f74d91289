import { HttpMethod, type KubeConfig, RequestContext } from "@kubernetes/client-node";
import { type Dispatcher, fetch } from "undici";
import { fieldManager } from "#operator/desired/names.ts";
import type { KubeAnswer } from "./answer.ts";
import { refusalOf } from "./answer.ts";
import type { Kind, KubeObject } from "./kube-object.ts";
import { kinds, pathOf } from "./kube-object.ts";
import { TokenBucket } from "./token-bucket.ts";

/** How long a request may take, in milliseconds, unless the client is told otherwise. */
export const requestTimeoutMs = 15_000;

/** One request for the raw layer. */
export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: { readonly [name: string]: string };
  readonly body?: unknown;
  readonly contentType?: string;
}

/** Called after every request, for metrics. `status` 0: no answer. */
export type RequestObserver = (method: string, status: number) => void;

/** A page of a list. */
export interface KubeList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly KubeObject[];
}

/**
 * Raw JSON requests to one API server. client-node gives configuration and authentication only:
 * its typed writes drop fields that it does not know. The call must be undici's own fetch, of the
 * major version that client-node's dispatcher comes from.
 */
export class KubeClient {
  private readonly config: KubeConfig;
  private readonly bucket: TokenBucket;
  private readonly observe: RequestObserver;
  private readonly timeoutMs: number;

  /** `ratePerSecond`: requests; twice that in a burst. */
  constructor(
    config: KubeConfig,
    ratePerSecond: number,
    observe: RequestObserver,
    timeoutMs = requestTimeoutMs,
  ) {
    this.timeoutMs = timeoutMs;
    this.config = config;
    this.bucket = new TokenBucket(ratePerSecond, 2 * ratePerSecond);
    this.observe = observe;
  }

  /** Sends a request; every outcome is a value. Bounded in time. */
  async request<T>(request: KubeRequest): Promise<KubeAnswer<T>> {
    await this.bucket.take();
    try {
      const response = await this.send(request, AbortSignal.timeout(this.timeoutMs));
      const text = await response.text();
      this.observe(request.method, response.status);
      if (!response.ok) {
        return refusalOf(response.status, text, response.headers.get("retry-after"));
      }
      return { ok: true, value: JSON.parse(text) as T };
    } catch (error) {
      this.observe(request.method, 0);
      return { ok: false, status: 0, reason: "Unreachable", message: reasonOf(error) };
    }
  }

  /** Reads one object, live. */
  get<T extends KubeObject>(kind: Kind, namespace: string, name: string): Promise<KubeAnswer<T>> {
    return this.request<T>({ method: "GET", path: pathOf(kind, namespace, name) });
  }

  /** Reads one page of a collection, live. */
  list(
    kind: Kind,
    namespace: string,
    query: { readonly [name: string]: string },
  ): Promise<KubeAnswer<KubeList>> {
    return this.request<KubeList>({ method: "GET", path: pathOf(kind, namespace), query });
  }

  /** Server-side apply as the operator, by force over what it states and nothing else. */
  apply(kind: Kind, object: KubeObject): Promise<KubeAnswer<KubeObject>> {
    const { namespace = "", name } = object.metadata;
    return this.request({
      method: "PATCH",
      path: pathOf(kind, namespace, name),
      query: { fieldManager, force: "true" },
      body: object,
      contentType: "application/apply-patch+yaml",
    });
  }

  /** Creates; refused with Conflict (AlreadyExists) when there is one. */
  create(kind: Kind, object: KubeObject): Promise<KubeAnswer<KubeObject>> {
    const path = pathOf(kind, object.metadata.namespace ?? "");
    return this.request({ method: "POST", path, query: { fieldManager }, body: object });
  }

  /** Replaces if the stored version is the one that `object` carries. */
  replace(kind: Kind, object: KubeObject, subresource = ""): Promise<KubeAnswer<KubeObject>> {
    const { namespace = "", name } = object.metadata;
    const path = `${pathOf(kind, namespace, name)}${subresource}`;
    return this.request({ method: "PUT", path, query: { fieldManager }, body: object });
  }

  /** RFC 7386 merge patch. With `metadata.resourceVersion` in it, a compare-and-swap. */
  mergePatch(
    kind: Kind,
    namespace: string,
    name: string,
    patch: unknown,
    subresource = "",
  ): Promise<KubeAnswer<KubeObject>> {
    return this.request({
      method: "PATCH",
      path: `${pathOf(kind, namespace, name)}${subresource}`,
      query: { fieldManager },
      body: patch,
      contentType: "application/merge-patch+json",
    });
  }

  /** Deletes exactly the object that was looked at: same UID, same version. */
  deleteExactly(
    kind: Kind,
    object: KubeObject,
    propagation: "Background" | "Orphan" = "Background",
  ): Promise<KubeAnswer<KubeObject>> {
    const { namespace = "", name, uid, resourceVersion } = object.metadata;
    return this.request({
      method: "DELETE",
      path: pathOf(kind, namespace, name),
      body: {
        apiVersion: "v1",
        kind: "DeleteOptions",
        preconditions: { uid, resourceVersion },
        propagationPolicy: propagation,
      },
    });
  }

  /** Evicts exactly that pod; 429 (TooManyRequests) when a disruption budget forbids it. */
  evict(pod: KubeObject): Promise<KubeAnswer<KubeObject>> {
    const { namespace = "", name, uid } = pod.metadata;
    return this.request({
      method: "POST",
      path: `${pathOf(kinds.pod, namespace, name)}/eviction`,
      body: {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name, namespace },
        deleteOptions: { preconditions: { uid } },
      },
    });
  }

  /** Opens a watch: lines of JSON until the server or `signal` ends it. */
  async watch(
    kind: Kind,
    namespace: string,
    query: { readonly [name: string]: string },
    signal: AbortSignal,
  ): Promise<KubeAnswer<AsyncIterable<Uint8Array>>> {
    try {
      const path = pathOf(kind, namespace);
      const response = await this.send(
        { method: "GET", path, query: { ...query, watch: "true" } },
        signal,
      );
      this.observe("WATCH", response.status);
      if (response.ok && response.body !== null) return { ok: true, value: response.body };
      const text = await response.text();
      return refusalOf(response.status, text, response.headers.get("retry-after"));
    } catch (error) {
      this.observe("WATCH", 0);
      return { ok: false, status: 0, reason: "Unreachable", message: reasonOf(error) };
    }
  }

  private async send(request: KubeRequest, signal: AbortSignal) {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) throw new Error("the configuration names no cluster");
    const query = new URLSearchParams(request.query ?? {}).toString();
    const url = `${cluster.server}${request.path}${query === "" ? "" : `?${query}`}`;
    const context = new RequestContext(url, HttpMethod[request.method]);
    context.setHeaderParam("accept", "application/json");
    context.setHeaderParam("user-agent", fieldManager);
    if (request.body !== undefined) {
      context.setHeaderParam("content-type", request.contentType ?? "application/json");
    }
    await this.config.applySecurityAuthentication(context);
    const dispatcher: Dispatcher | undefined = context.getDispatcher();
    return fetch(url, {
      method: request.method,
      headers: context.getHeaders(),
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      ...(dispatcher === undefined ? {} : { dispatcher }),
      signal,
    });
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
