import type { CurrentMember } from "#replica/admin/admin-calls.ts";
import { checkFormerMembers, formerMembersMax } from "#replica/admin/admin-calls.ts";
import { checkedFromText } from "#replica/admin/checked.ts";
import type { KeyTenure } from "#replica/proof/key-list.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { readText, replaceFile } from "./durable-file.ts";
import type { MemberHistory } from "./member-keys.ts";

function known({ replica, incarnation, publicKey, replaceOp }: Member): CurrentMember {
  return { replica, incarnation, publicKey, replaceOp: replaceOp ?? 0 };
}

/**
 * `keys/members.json` of a data directory: every member that this shard is known to have had, so
 * that receipts made before a replacement still verify. Beside genesis and the members of now it
 * matters only where one replica was replaced twice.
 */
export class KeyHistory implements MemberHistory {
  private readonly path: string;
  private readonly failed: (why: string) => void;
  private members: readonly CurrentMember[];

  /** `seeds`: members that other files of the volume name. A damaged file is made anew of them. */
  constructor(
    path: string,
    seeds: readonly CurrentMember[],
    failed: (why: string) => void = () => undefined,
  ) {
    this.path = path;
    this.failed = failed;
    const text = readText(path);
    const kept = text === null ? null : checkedFromText(text, checkFormerMembers);
    // A volume of before may hold one twice.
    this.members = once(kept?.ok === true ? kept.value : []);
    this.take(seeds);
  }

  /** All members known, oldest first. */
  get list(): readonly CurrentMember[] {
    return this.members;
  }

  note(members: readonly Member[], commitMin: number): void {
    this.take(members.map(known).filter(({ replaceOp }) => replaceOp <= commitMin));
  }

  tenures(members: readonly Member[]): readonly KeyTenure[] {
    const now = members.map(known);
    const all = [...this.members.filter((each) => !isAmong(each, now)), ...now];
    const tenureOf = ({ replica, publicKey, replaceOp }: CurrentMember): KeyTenure => {
      const later = all
        .filter((each) => each.replica === replica && each.replaceOp > replaceOp)
        .map((each) => each.replaceOp);
      const to = later.length === 0 ? Number.MAX_SAFE_INTEGER : Math.min(...later) - 1;
      return { replica, publicKey, ops: { from: replaceOp, to } };
    };
    const former = all.filter((each) => !isAmong(each, now));
    return [...now, ...former.toReversed()].map(tenureOf);
  }

  private take(members: readonly CurrentMember[]): void {
    const known = once([...this.members, ...members]);
    if (known.length === this.members.length) return;
    const all = known.sort((a, b) => a.replaceOp - b.replaceOp);
    this.members = all.slice(-formerMembersMax);
    try {
      replaceFile(this.path, JSON.stringify({ members: this.members }), 0o600);
    } catch (error) {
      this.failed(error instanceof Error ? error.message : String(error));
    }
  }
}

/** Each member once: the files of a replaced volume name those who stayed more than once. */
function once(members: readonly CurrentMember[]): CurrentMember[] {
  return members.filter((each, at) => !isAmong(each, members.slice(0, at)));
}

function isAmong(member: CurrentMember, members: readonly CurrentMember[]): boolean {
  return members.some(({ replica, publicKey }) => {
    return replica === member.replica && publicKey === member.publicKey;
  });
}
