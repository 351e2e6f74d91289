import helmet from "@fastify/helmet";
import fastify from "fastify";
import type { FastifyError, FastifyInstance } from "fastify";
import { frameBytesMax } from "#edge/api/limits.ts";
import { originAllowed } from "#edge/auth/origin.ts";
import { Callers } from "./callers.ts";
import { eventRoutes } from "./event-routes.ts";
import type { HttpDeps } from "./http-deps.ts";
import { pageRoutes } from "./page-routes.ts";
import { Problem, sendProblem } from "./problem.ts";
import { roomRoutes } from "./room-routes.ts";
import { Streams } from "./stream-routes.ts";

const headerBytesMax = 16 * 1024;
const headersMax = 64;
const requestTimeoutMs = 10_000;

/** HTTP calls of the edge; the WebSocket's route is added by edge/ws. */
export async function makeHttpServer(
  deps: HttpDeps,
  onError: (error: unknown) => void,
): Promise<{ readonly app: FastifyInstance; readonly streams: Streams }> {
  const app = fastify({
    bodyLimit: frameBytesMax,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: 65_000,
    forceCloseConnections: "idle",
    trustProxy: deps.trustProxy,
    http: {
      maxHeaderSize: headerBytesMax,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: 5_000,
    },
  });
  app.server.maxHeadersCount = headersMax;
  await app.register(helmet, helmetOptions(deps));
  app.addHook("onRequest", (request, _reply, done) => {
    const { origin, host } = request.headers;
    const safe = request.method === "GET" || request.method === "HEAD";
    const allowed = safe || originAllowed(origin, host, deps.allowedOrigins);
    done(allowed ? undefined : new Problem("DENIED", "This origin may not call."));
  });
  app.setErrorHandler(async (error: FastifyError, _request, reply) => {
    if (error instanceof Problem) await sendProblem(reply, error.refusal);
    else if (error.statusCode === 413) await sendProblem(reply, { error: "TOO_LARGE" });
    else if (error.statusCode !== undefined && error.statusCode < 500) {
      await sendProblem(reply, { error: "BAD_FRAME", detail: error.message });
    } else {
      onError(error);
      await sendProblem(reply, { error: "INTERNAL" });
    }
  });
  app.setNotFoundHandler(async (_request, reply) => {
    await reply.code(404).type("application/problem+json").send(JSON.stringify(notFound));
  });
  const callers = new Callers(deps);
  const streams = new Streams();
  roomRoutes(app, deps, callers);
  eventRoutes(app, deps, callers);
  streams.register(app, deps, callers);
  await pageRoutes(app, deps, callers);
  return { app, streams };
}

// Of no row of the table: the table is about rooms, this is about paths.
const notFound = {
  type: "about:blank",
  title: "Not Found",
  status: 404,
  code: 404,
  name: "NOT_FOUND",
  detail: "There is no such call; /openapi.json lists them all.",
  retryable: false,
} as const;

function helmetOptions({ publicUrl }: HttpDeps) {
  const sockets = publicUrl === null ? [] : [publicUrl.replace(/^http/, "ws")];
  return {
    // The page talks to its own origin only; http stays http on a machine of one's own.
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", "data:"],
        fontSrc: ["'self'"],
        manifestSrc: ["'self'"],
        connectSrc: ["'self'", ...sockets],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    hsts: publicUrl?.startsWith("https:") === true ? { maxAge: 31_536_000 } : false,
  } as const;
}
