/** A refusal by the API server, or no answer at all (status 0). */
export interface KubeRefusal {
  readonly ok: false;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The server's word for programs: NotFound, Conflict, Invalid … */
  readonly reason: string;
  readonly message: string;
  /** How long the server asks to wait, when it does. */
  readonly retryAfterMs?: number;
}

/** What a request came to. */
export type KubeAnswer<T> = { readonly ok: true; readonly value: T } | KubeRefusal;

/** Thrown by {@link orThrow}: a reconcile that met it is repeated with backoff. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly refusal: KubeRefusal;

  constructor(what: string, refusal: KubeRefusal) {
    super(`${what}: ${refusal.status} ${refusal.reason}: ${refusal.message}`);
    this.refusal = refusal;
  }
}

/** The value, or a {@link KubeError} that names what was tried. */
export function orThrow<T>(what: string, answer: KubeAnswer<T>): T {
  if (!answer.ok) throw new KubeError(what, answer);
  return answer.value;
}

/** The value, undefined when there is no such object, or a {@link KubeError}. */
export function orNone<T>(what: string, answer: KubeAnswer<T>): T | undefined {
  if (!answer.ok && answer.status === 404) return undefined;
  return orThrow(what, answer);
}

/** The refusal that a Status object (metav1) of the server makes. */
export function refusalOf(status: number, text: string, retryAfter: string | null): KubeRefusal {
  const seconds = retryAfter === null ? Number.NaN : Number(retryAfter);
  const wait = Number.isFinite(seconds) ? { retryAfterMs: seconds * 1000 } : {};
  try {
    const body = JSON.parse(text) as { reason?: unknown; message?: unknown };
    const { reason, message } = body;
    if (typeof reason === "string" && typeof message === "string") {
      return { ok: false, status, reason, message, ...wait };
    }
  } catch {
    // Proxies and early failures answer with text; it is the message then.
  }
  return { ok: false, status, reason: "Unknown", message: text.slice(0, 500), ...wait };
}
