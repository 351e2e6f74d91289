import type { Checksum } from "#replica/base/brands.ts";
import { manifestChunkBytes, manifestSegmentId } from "#replica/snapshot/manifest.ts";
import type { BlockAddress } from "#replica/snapshot/port.ts";
import type { CheckpointDescriptor, PeerMessage } from "#replica/wire/peer-message.ts";
import type { Storage } from "#replica/wire/storage-port.ts";

/** Chunks read for peers at the same time at most; more are dropped, the peer asks again. */
export const chunksServedMax = 16;
/** Checkpoints whose manifests are still served: the last ones. */
export const checkpointsServedMax = 4;

/** Serves blocks of own checkpoints to peers that sync or repair; silence when one is not here. */
export class ChunkSource {
  private readonly storage: Storage;
  private readonly genesisManifest: Uint8Array;
  private readonly known: CheckpointDescriptor[] = [];
  private inFlight = 0;
  /** When a peer last asked, ms: garbage is held back for a while after. */
  lastAskedMs = Number.NEGATIVE_INFINITY;

  /** `genesisManifest`: manifest of op 0, which no segment holds. */
  constructor(storage: Storage, genesisManifest: Uint8Array) {
    this.storage = storage;
    this.genesisManifest = genesisManifest;
  }

  /** A checkpoint is durable here. */
  add(checkpoint: CheckpointDescriptor): void {
    this.known.push(checkpoint);
    if (this.known.length > checkpointsServedMax) this.known.shift();
  }

  /** Answers a get_chunk by `send`, later or never. */
  serve(
    message: Extract<PeerMessage, { kind: "get_chunk" }>,
    nowMs: number,
    send: (chunk: BlockAddress & { checkpointId: Checksum; bytes: Uint8Array }) => void,
  ): void {
    this.lastAskedMs = nowMs;
    if (this.inFlight >= chunksServedMax) return;
    const { checkpointId, segment, block } = message;
    const checkpoint = this.known.find((one) => one.id === checkpointId);
    if (segment === "" && checkpoint === undefined) return;
    if (segment === "" && checkpoint?.op === 0) {
      const first = block * manifestChunkBytes;
      const bytes = this.genesisManifest.subarray(first, first + manifestChunkBytes);
      if (bytes.length > 0) send({ checkpointId, segment, block, bytes });
      return;
    }
    const id = segment === "" ? manifestSegmentId(checkpoint?.op ?? 0) : segment;
    this.inFlight += 1;
    this.storage.readBlock(id, block, (bytes) => {
      this.inFlight -= 1;
      if (bytes !== null) send({ checkpointId, segment, block, bytes });
    });
  }
}
