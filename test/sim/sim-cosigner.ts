import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import type { CosignMark, CosignPorts } from "#replica/server/cosigning.ts";
import type { Host } from "#replica/server/host.ts";
import type { HashTrees } from "#replica/server/proofs.ts";
import { MemberKeys } from "#replica/transport/member-keys.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { firstPublicKey } from "./formation.ts";
import { keyOfSignature } from "./sim-sealer.ts";
import { simProofCrypto, simSign } from "./sim-signer.ts";

/** Keys of a computer's volume, and the newest head of the log that it signed, as on its disk. */
export class SimCosigner {
  mark: CosignMark | null = null;
  private readonly index: number;
  private firstKey: string;
  /** Of the volume, once it was heard of. */
  private incarnation: string | null = null;
  private readonly known = new Map<Host, { readonly keys: MemberKeys; told: string }>();

  constructor(index: number) {
    this.index = index;
    this.firstKey = firstPublicKey(index);
  }

  /** The first key of another volume. */
  set publicKey(publicKey: string) {
    this.firstKey = publicKey;
    this.incarnation = null;
  }

  /** What a process signs with; `later` runs after a write or a job, unless it ended before. */
  ports(node: {
    readonly host: Host | null;
    later(delayMs: number, run: () => void): void;
  }): CosignPorts & { readonly hashTrees: HashTrees } {
    const hasher = new TreeHasher(treeHashes);
    return {
      // What happens in the meantime must not change what is hashed.
      hashTrees: (job, done) => node.later(1, () => done(hasher.run(job))),
      sign: (message) => simSign(bytesFromHex(this.keyOf(node.host)), message),
      tools: simProofCrypto,
      memory: {
        mark: this.mark,
        save: (mark, done) => {
          node.later(1, () => {
            this.mark = mark;
            done();
          });
        },
      },
    };
  }

  /** False for a prepare that production's transport would refuse: not its author's key. */
  takes(host: Host, message: PeerMessage): boolean {
    const { members, committedMembers } = host.replica;
    this.keyOf(host);
    if (message.kind !== "prepare" || message.prepare.header.kind === "root") return true;
    if (members.every(({ replaceOp }) => replaceOp === undefined)) return true;
    const { author, incarnation, op, signature } = message.prepare.header;
    const keys = this.keysOf(host, members, committedMembers);
    const good = keys.authorKeys(author, incarnation, op).map(({ publicKey }) => publicKey);
    return good.length === 0 || good.includes(hexFrom(keyOfSignature(signature)));
  }

  /** The key that counts by the log, where this volume has it: made here, after its incarnation. */
  private keyOf(host: Host | null): string {
    const own = host?.replica.members.find(({ replica }) => replica === this.index);
    if (own?.publicKey === this.firstKey) this.incarnation = own.incarnation;
    if (own === undefined || own.incarnation !== this.incarnation) return this.firstKey;
    return own.publicKey.startsWith(own.incarnation) ? own.publicKey : this.firstKey;
  }

  private keysOf(host: Host, members: readonly Member[], committed: readonly Member[]): MemberKeys {
    const told = [...members, ...committed].map(({ publicKey }) => publicKey).join();
    const known = this.known.get(host);
    if (known === undefined) {
      this.known.clear();
      const keys = new MemberKeys(members, committed, []);
      this.known.set(host, { keys, told });
      return keys;
    }
    if (known.told !== told) known.keys.set(members, committed);
    known.told = told;
    return known.keys;
  }
}
