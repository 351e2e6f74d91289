import type { Prng } from "#replica/base/prng.ts";
import type { KekFile } from "./kek-file.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { ServerMessage } from "#replica/wire/client-message.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { Atlas } from "./atlas.ts";
import type { Coverage } from "./coverage.ts";
import type { Heap } from "./heap.ts";
import type { Judges } from "./judges.ts";
import type { Swarm } from "./swarm.ts";
import type { LineKind } from "./timeline.ts";

/** What a machine needs of the world around it. */
export interface NodeWorld {
  readonly heap: Heap;
  /** Time that passed at once for all wall clocks, us. */
  readonly passedUs: number;
  readonly swarm: Swarm;
  readonly atlas: Atlas;
  readonly judges: Judges;
  readonly coverage: Coverage;
  readonly verbose: boolean;
  /** A message leaves a machine; the network decides on it. */
  carry(from: ReplicaIndex, to: ReplicaIndex, message: PeerMessage): void;
  toClient(from: ReplicaIndex, connection: number, message: ServerMessage): void;
  /** The process ended: its connections close. */
  ended(index: ReplicaIndex): void;
  /** A replica executed an op that nobody had executed before. */
  committed(index: ReplicaIndex, prepare: Prepare): void;
  secret(): number;
  /** Faults of the files of data keys happen now. */
  readonly keysFail: boolean;
  readonly kekFile: KekFile;
  /** Chance of what befalls them, of its own: other faults are drawn as without it. */
  readonly keysPrng: Prng;
  line(kind: LineKind, replica: number, text: string): void;
  mix(what: number, a: number, b: number, c: number): void;
}
