import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { asyncApiDocument } from "#edge/api/asyncapi.ts";
import { checkLoginRequest } from "#edge/api/http-checks.ts";
import { openApiDocument } from "#edge/api/openapi.ts";
import { loginCookie, loginLifetimeS } from "#edge/auth/login.ts";
import type { Callers } from "./callers.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";
import { baseUrl, bodyOf } from "./room-routes.ts";

/** Logins, health, documents, the built page. */
export async function pageRoutes(
  app: FastifyInstance,
  deps: HttpDeps,
  callers: Callers,
): Promise<void> {
  app.post("/v1/logins", async (request, reply) => {
    callers.attempt(request);
    const { code } = bodyOf(checkLoginRequest(request.body));
    const login = await deps.gate.takeLogin(code);
    if (login === null) {
      throw new Problem("TOKEN_INVALID", "The code is wrong or was used: ask for another.");
    }
    const secure = baseUrl(request, deps).startsWith("https:") ? "; Secure" : "";
    const value = await deps.gate.mintLogin(login);
    reply.header(
      "set-cookie",
      `${loginCookie}=${value}; Path=/; Max-Age=${loginLifetimeS}; HttpOnly; SameSite=Strict${
        secure
      }`,
    );
    const { user, name, rooms } = login;
    return await reply.code(201).send({ user, name, rooms });
  });

  app.get("/v1/logins", async (request) => {
    const login = await deps.gate.login(request.headers.cookie);
    if (login === null) {
      throw new Problem("TOKEN_INVALID", "Nobody is logged in: POST /v1/logins does it.");
    }
    const { user, name, rooms } = login;
    return { user, name, rooms };
  });

  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const refusing = deps.refusing();
    return await reply.code(refusing === null ? 200 : 503).send({ status: refusing ?? "ok" });
  });
  app.get("/openapi.json", (request) => openApiDocument(baseUrl(request, deps)));
  app.get("/asyncapi.json", (request) => asyncApiDocument(baseUrl(request, deps)));

  if (deps.web === null) return;
  await app.register(fastifyStatic, {
    root: deps.web,
    index: ["index.html"],
    cacheControl: false,
    setHeaders: (reply, path) => {
      // Built files carry their content's hash in their names; the page itself does not.
      const fixed = /-[\w-]{8,}\.\w+$/.test(path) && !path.endsWith(".html");
      reply.header("cache-control", fixed ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}
