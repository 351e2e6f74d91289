import { postTypes } from "#edge/api/fields.ts";
import {
  bodyBytesMax,
  frameBytesMax,
  pageEntriesMax,
  pingIntervalMs,
  pongDeadlineMs,
  postsPendingMax,
  recoverEntriesMax,
  roomsPerConnectionMax,
} from "#edge/api/limits.ts";
import type { ServerFrame } from "#edge/api/server-frames.ts";
import type { EdgeLimits } from "#edge/limit/edge-limits.ts";

/** The server's hello: what this connection may do. `wallUs`: microseconds since 1970. */
export function serverHello(
  conn: string,
  limits: EdgeLimits,
  wallUs: number,
): Extract<ServerFrame, { readonly op: "hello" }> {
  return {
    op: "hello",
    conn,
    ping_ms: pingIntervalMs,
    pong_ms: pongDeadlineMs,
    limits: {
      frame_bytes: frameBytesMax,
      body_bytes: bodyBytesMax,
      rooms: roomsPerConnectionMax,
      read_entries: pageEntriesMax,
      recover_entries: recoverEntriesMax,
      posts_pending: postsPendingMax,
      frames_per_s: limits.frames.perS,
      frames_burst: limits.frames.burst,
      posts_per_s: limits.posts.perS,
      posts_burst: limits.posts.burst,
      types: [...postTypes],
    },
    time: wallUs,
  };
}
