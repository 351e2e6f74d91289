import { replicasCount } from "#replica/base/limits.ts";
import type { KeyTenure } from "#replica/proof/key-list.ts";
import { tenureForEver } from "#replica/proof/key-list.ts";
import type { Member } from "#replica/wire/superblock.ts";

/** What proofs ask of a history of members. */
export interface MemberHistory {
  /** Members by the log now; what is committed up to `commitMin` is a fact for ever. */
  note(members: readonly Member[], commitMin: number): void;
  /** Keys of these members, and of those before them, each with its ops. */
  tenures(members: readonly Member[]): readonly KeyTenure[];
}

/** Members as consensus knows them. */
interface Known {
  readonly members: readonly Member[];
  readonly commitMin: number;
}

/** Keys of the members now, and of all there were; null while a member is not known. */
export function memberKeys(known: () => Known, history: MemberHistory | undefined) {
  return {
    publicKeys: (): readonly string[] | null => {
      const { members, commitMin } = known();
      if (members.length !== replicasCount) return null;
      history?.note(members, commitMin);
      return members.map((one) => one.publicKey);
    },
    tenures: (): readonly KeyTenure[] | null => {
      const { members } = known();
      if (members.length !== replicasCount) return null;
      return history?.tenures(members) ?? members.map(tenureForEver);
    },
  };
}
