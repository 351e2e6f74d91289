import { bytesFromHex } from "#replica/base/bytes.ts";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import type { CosignMark, CosignPorts } from "#replica/server/cosigning.ts";
import type { HashTrees } from "#replica/server/proofs.ts";
import { firstPublicKey } from "./formation.ts";
import { simProofCrypto, simSign } from "./sim-signer.ts";

/** Key of a computer's volume, and the newest head of the log that it signed, as on its disk. */
export class SimCosigner {
  publicKey: Uint8Array;
  mark: CosignMark | null = null;

  constructor(index: number) {
    this.publicKey = bytesFromHex(firstPublicKey(index));
  }

  /** What a process signs with; `later` runs after a write or a job, unless it ended before. */
  ports(later: (run: () => void) => void): CosignPorts & { readonly hashTrees: HashTrees } {
    const { publicKey } = this;
    const hasher = new TreeHasher(treeHashes);
    return {
      // What happens in the meantime must not change what is hashed.
      hashTrees: (job, done) => later(() => done(hasher.run(job))),
      sign: (message) => simSign(publicKey, message),
      tools: simProofCrypto,
      memory: {
        mark: this.mark,
        save: (mark, done) => {
          later(() => {
            this.mark = mark;
            done();
          });
        },
      },
    };
  }
}
