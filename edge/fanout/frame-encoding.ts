import { bytesConcat } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import type { PushedCheckpoint } from "./checkpoints.ts";

/** What a subscriber learns when its room is followed. */
export interface AttachedFacts {
  readonly id: string;
  readonly room: string;
  /** Root of the thread; absent: the room itself. */
  readonly thread?: number;
  readonly rid: number;
  readonly epoch: number;
  readonly head: number;
  readonly floor: number;
  readonly next: number;
  readonly recovered: boolean;
  /** What the viewer is in the room; absent: the tenant's server. */
  readonly you?: {
    readonly role: string;
    readonly marker: number;
    readonly muted_until?: number;
  };
}

/**
 * How room events become bytes on the wire. All subscribers with the same encoding share the bytes
 * of an event. A null means that this encoding does not carry it.
 */
export interface FrameEncoding {
  readonly name: "socket" | "sse";
  /** `members`: see entryMembers. */
  event(rid: number, epoch: number, seq: number, members: string): Uint8Array;
  attached(facts: AttachedFacts): Uint8Array;
  gap(rid: number, from: number, to: number): Uint8Array;
  skip(rid: number, epoch: number, to: number): Uint8Array;
  head(rid: number, seq: number): Uint8Array | null;
  signal(rid: number, kind: string, from: string): Uint8Array | null;
  checkpoint(rid: number, checkpoint: PushedCheckpoint): Uint8Array | null;
}

/**
 * A whole, unmasked WebSocket text message as the bytes that go to the socket: FIN and opcode 1,
 * then 7, 16 or 64 bits of length. RFC 6455 section 5.2.
 */
export function socketTextFrame(text: string): Uint8Array {
  const payload = utf8From(text);
  const { length } = payload;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = new Uint8Array(head + length);
  frame[0] = 0x81;
  if (head === 2) frame[1] = length;
  else if (head === 4) {
    frame[1] = 126;
    frame[2] = length >> 8;
    frame[3] = length & 255;
  } else {
    frame[1] = 127;
    new DataView(frame.buffer).setUint32(6, length);
  }
  frame.set(payload, head);
  return frame;
}

/** Frames of `tigerchat.v1.json`. */
export const socketEncoding: FrameEncoding = {
  name: "socket",
  event: (rid, _epoch, _seq, members) => socketTextFrame(`{"op":"ev","rid":${rid},${members}}`),
  attached: (facts) => socketTextFrame(JSON.stringify({ op: "attached", ...facts })),
  gap: (rid, from, to) => socketTextFrame(JSON.stringify({ op: "gap", rid, from, to })),
  skip: (rid, _epoch, to) => socketTextFrame(JSON.stringify({ op: "skip", rid, to })),
  head: (rid, seq) => socketTextFrame(`{"op":"head","rid":${rid},"seq":${seq}}`),
  signal: (rid, kind, from) => socketTextFrame(JSON.stringify({ op: "signal", rid, kind, from })),
  checkpoint: (rid, facts) => socketTextFrame(JSON.stringify({ op: "ckpt", rid, ...facts })),
};

function sse(event: string, data: string, id: string | null = null): Uint8Array {
  const first = id === null ? "" : `id: ${id}\n`;
  return utf8From(`${first}event: ${event}\ndata: ${data}\n\n`);
}

/** Server-sent events. WHATWG HTML section 9.2. */
export const sseEncoding: FrameEncoding = {
  name: "sse",
  event: (_rid, epoch, seq, members) => sse("ev", `{${members}}`, `${epoch}:${seq}`),
  attached: ({ epoch, head, floor, next, recovered }) => {
    const data = JSON.stringify({ epoch, head, floor, next, recovered });
    return sse("attached", data, `${epoch}:${next - 1}`);
  },
  gap: (_rid, from, to) => sse("gap", JSON.stringify({ from, to })),
  skip: (_rid, epoch, to) => sse("skip", JSON.stringify({ to }), `${epoch}:${to}`),
  head: () => null,
  signal: () => null,
  checkpoint: () => null,
};

/** One buffer of several frames, made once for all receivers. */
export function joinedFrames(frames: readonly Uint8Array[]): Uint8Array {
  const first = frames[0];
  return frames.length === 1 && first !== undefined ? first : bytesConcat(frames);
}
