import type { Incarnation, ReplicaIndex } from "#replica/base/brands.ts";
import { incarnationFrom } from "#replica/base/brands.ts";
import { bytesConcat } from "#replica/base/bytes.ts";
import { headerBytes } from "#replica/base/limits.ts";
import type { Prng } from "#replica/base/prng.ts";
import { crc32 } from "#replica/crypto/hash.ts";
import { frameAt, frameSize } from "#replica/wire/frame.ts";
import { FrameSplitter } from "#replica/wire/frame-splitter.ts";
import { decodePeerMessage, encodePeerMessage } from "#replica/wire/peer-codec.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { lab } from "./formation.ts";

/** Probability that a frame is damaged on its way. */
const damage = 0.02;
const stale: Incarnation = incarnationFrom("ff".repeat(16));

/** Messages as production carries them: encoded, split from a stream, checked, decoded. */
export class Frames {
  private readonly prng: Prng;
  private readonly count: (what: string) => void;

  constructor(prng: Prng, count: (what: string) => void) {
    this.prng = prng;
    this.count = count;
  }

  /** What arrives of a message, or null: refused as production's connection refuses it. */
  through(from: ReplicaIndex, message: PeerMessage): PeerMessage | null {
    const old = message.kind !== "prepare" && this.prng.chance(damage / 4);
    const sent = old ? { ...message, incarnation: stale } : message;
    if (old) this.count("frame_stale_incarnation");
    const { header, body } = encodePeerMessage(lab.scope, sent);
    const bytes = bytesConcat([header, body]);
    let key = from + 1;
    if (this.prng.chance(damage / 4)) {
      this.count("frame_bad_signature");
      key += 1;
    }
    const signature = sign(key, bytes);
    const record = this.cut(bytes);
    if (record === null || signature !== sign(from + 1, record)) return null;
    const relay = { from, incarnation: sent.incarnation, view: message.view };
    const read = decodePeerMessage(lab.scope, record, relay);
    return read.ok ? read.value : null;
  }

  private cut(bytes: Uint8Array): Uint8Array | null {
    const sent = bytes.slice();
    if (this.prng.chance(damage / 4)) {
      this.count("frame_flipped");
      const at = this.prng.below(sent.length);
      sent[at] = (sent[at] ?? 0) ^ (1 << this.prng.below(8));
    }
    const splitter = new FrameSplitter(headerBytes, frameSize);
    let record: Uint8Array | null = null;
    const take = (found: Uint8Array): void => {
      record = found.slice();
    };
    let length = sent.length;
    if (this.prng.chance(damage / 4)) {
      this.count("frame_truncated");
      length = this.prng.below(sent.length);
    }
    const middle = this.prng.below(length + 1);
    if (splitter.push(sent.subarray(0, middle), take) !== null) return null;
    if (splitter.push(sent.subarray(middle, length), take) !== null) return null;
    return record;
  }
}

/** Stands for Ed25519: another key or another checksum gives another signature. */
function sign(key: number, frame: Uint8Array): number {
  return crc32(frame.subarray(0, frameAt.checksummed)) ^ Math.imul(key, 0x9e3779b9);
}
