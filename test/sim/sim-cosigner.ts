import { bytesFromHex } from "#replica/base/bytes.ts";
import type { CosignMark, CosignPorts } from "#replica/server/cosigning.ts";
import { firstPublicKey } from "./formation.ts";
import { simProofCrypto, simSign } from "./sim-signer.ts";

/** Key of a computer's volume, and the newest head of the log that it signed, as on its disk. */
export class SimCosigner {
  publicKey: Uint8Array;
  mark: CosignMark | null = null;

  constructor(index: number) {
    this.publicKey = bytesFromHex(firstPublicKey(index));
  }

  /** What a process signs with; `later` runs when a write is durable, unless it ended before. */
  ports(later: (run: () => void) => void): CosignPorts {
    const { publicKey } = this;
    return {
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
