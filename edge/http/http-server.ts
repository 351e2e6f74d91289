import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import helmet from "@fastify/helmet";
import fastify from "fastify";
import type { FastifyError, FastifyInstance } from "fastify";
import { frameBytesMax } from "#edge/api/limits.ts";
import { originAllowed } from "#edge/auth/origin.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import { Callers } from "./callers.ts";
import { eventRoutes } from "./event-routes.ts";
import type { HttpDeps } from "./http-deps.ts";
import { memberRoutes } from "./member-routes.ts";
import { pageRoutes } from "./page-routes.ts";
import { pathProblemText, sendNoRoute, sendPathProblem } from "./path-problem.ts";
import type { PathStatus } from "./path-problem.ts";
import { auditRoutes, proofRoutes } from "./proof-routes.ts";
import { Problem, problemType, sendProblem } from "./problem.ts";
import { roomRoutes } from "./room-routes.ts";
import { snapshotRoutes } from "./snapshot-routes.ts";
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
    clientErrorHandler: refuseBytes,
    frameworkErrors: (_error, _request, reply) => {
      void sendPathProblem(
        reply,
        400,
        "The URL is not well-formed; /openapi.json lists all calls.",
      );
    },
    http: {
      maxHeaderSize: headerBytesMax,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: 5_000,
    },
  });
  app.server.maxHeadersCount = headersMax;
  strictJson(app);
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
  app.setNotFoundHandler(sendNoRoute);
  const callers = new Callers(deps);
  const streams = new Streams();
  roomRoutes(app, deps, callers);
  eventRoutes(app, deps, callers);
  memberRoutes(app, deps, callers);
  proofRoutes(app, deps, callers);
  auditRoutes(app, deps, callers);
  snapshotRoutes(app, deps, callers);
  streams.register(app, deps, callers);
  await pageRoutes(app, deps, callers);
  return { app, streams };
}

/** Answers what is not even HTTP, on the bare socket; RFC 9112 section 9.6: then it is closed. */
function refuseBytes(error: { readonly code: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = faultOfBytes(error.code);
  const text = pathProblemText(status, detail);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n` +
      `content-type: ${problemType}\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
}

function faultOfBytes(code: string): readonly [PathStatus, string] {
  if (code === "HPE_HEADER_OVERFLOW") {
    return [431, `URL and headers have at most ${headerBytesMax} bytes: send less.`];
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return [408, `A request is complete within ${requestTimeoutMs / 1000} s: send it at once.`];
  }
  return [400, "This is not an HTTP/1.1 request."];
}

/** JSON bodies are UTF-8 (RFC 8259 section 8.1); what is not is refused, never replaced. */
function strictJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    const text = typeof body === "string" ? body : textFromUtf8(body);
    if (text === null) done(new Problem("BAD_FRAME", "The body is not UTF-8."));
    else parse(request, text, done);
  });
}

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
