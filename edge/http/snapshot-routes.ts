import type { FastifyInstance } from "fastify";
import { checkUser } from "#edge/api/http-checks.ts";
import { snapshotMessagesMax } from "#edge/api/limits.ts";
import { Snapshots } from "#edge/bus/snapshots.ts";
import { logMembers } from "#edge/connection/answer-frames.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { viewerOf } from "./callers.ts";
import type { Callers } from "./callers.ts";
import { countOf } from "./event-routes.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";

const seqEnd = Number.MAX_SAFE_INTEGER;

/** Rooms as of a seq; what follows is read, or followed, from there. */
export function snapshotRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  const { hub } = deps;
  const snapshots = new Snapshots((name, after, limit) =>
    hub.readEncoded(name, { kind: "after", seq: seqFrom(after), limit }),
  );
  app.get("/v1/rooms/:room/snapshot", async (request) => {
    const caller = await callers.inRoom(request, "read");
    const { name } = caller;
    const sight = await hub.sight(name, viewerOf(caller));
    if (!sight.ok) throw Problem.of(sight.refusal);
    const now = await hub.readPages(name, { kind: "before", seq: seqFrom(seqEnd), limit: 1 });
    if (!now.ok) throw Problem.of(now.refusal);
    const { epoch, head, floor } = now.page;
    const at = countOf(request, "at", { min: 0, max: seqEnd }) ?? head;
    if (at > head) throw new Problem("BAD_FRAME", `at is above the room's head, ${head}.`);
    if (at < floor - 1)
      throw new Problem("BELOW_FLOOR", `The room keeps entries from ${floor} on.`);
    const outcome = await snapshots.take({
      name,
      viewer: sight.viewer,
      position: { epoch, head, floor },
      at,
      before: countOf(request, "before", { min: 1, max: seqEnd }) ?? seqEnd,
      limit: countOf(request, "limit", { min: 1, max: snapshotMessagesMax }) ?? 50,
      membersAfter: membersAfterOf(request.query),
    });
    if (outcome.kind === "ok") return { ...logMembers(name.room), ...outcome.snapshot };
    if (outcome.kind === "busy") throw new Problem("RATE_LIMITED", undefined, 500);
    if (outcome.kind === "unavailable") throw new Problem("NO_LEADER", undefined, 500);
    throw new Problem("TOO_LARGE", "The room has too much for a snapshot: read its entries.");
  });
}

function membersAfterOf(query: unknown): string {
  const { members_after: user } = query as { readonly members_after?: unknown };
  if (user === undefined) return "";
  const checked = checkUser(user);
  if (!checked.ok) throw new Problem("BAD_FRAME", `members_after: ${checked.detail}`);
  return checked.value;
}
