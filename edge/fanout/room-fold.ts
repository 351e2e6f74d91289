import { textFromUtf8 } from "#replica/base/text.ts";
import type { Entry } from "#replica/wire/entry.ts";
import { decodeMember, decodeSanction, decodeSettings } from "#replica/wire/entry-body.ts";
import type { Role, SettingsBody } from "#replica/wire/entry-body.ts";

/** Facts that one fold holds at most; a room with more is read entry by entry. */
export const foldFactsMax = 200_000;

/** Somebody with a role. */
export interface FoldedMember {
  readonly role: Role;
  /** Seq of the entry that gave it. */
  readonly seq: number;
}

const settingsAtFirst: SettingsBody = {
  closed: false,
  readonly: false,
  fromJoin: false,
  privateMarkers: false,
};

/**
 * What a room's entries up to one of them add up to: settings, members, bans, mutes, and what
 * became of its messages. Texts are not kept, only where they stand, so that a fold is small;
 * entries are given once, ascending. Bounded by {@link foldFactsMax}.
 */
export class RoomFold {
  /** Seq of the last entry folded in. */
  at: number;
  /** Log time of it, microseconds; 0 = none yet. */
  timeUs = 0;
  settings: SettingsBody = settingsAtFirst;
  readonly members = new Map<string, FoldedMember>();
  /** User → log time until which; lifted ones are not in it. */
  readonly bans = new Map<string, number>();
  readonly mutes = new Map<string, number>();
  /** Seqs of a message's edits that still stand, ascending. */
  readonly edits = new Map<number, number[]>();
  /** Redacted message or edit → the entry that did it. */
  readonly redacted = new Map<number, number>();
  /** Message → reaction → users, in order. */
  readonly reactions = new Map<number, Map<string, Set<string>>>();
  /** Messages with a thread. */
  readonly threads = new Set<number>();
  private facts = 0;

  /** `from`: seq of the first entry that will be given. */
  constructor(from: number) {
    this.at = from - 1;
  }

  /** True when it holds as much as it may: nothing more is folded in. */
  get full(): boolean {
    return this.facts >= foldFactsMax;
  }

  /** Folds in the next entry. */
  apply(entry: Entry): void {
    const { type: kind, seq, parent, sender, body } = entry;
    this.at = seq;
    this.timeUs = entry.timeUs;
    if (kind === "message" || kind === "marker") return;
    this.facts += 1;
    switch (kind) {
      case "edit":
        this.edits.set(parent, [...(this.edits.get(parent) ?? []), seq]);
        break;
      case "redact":
        this.redacted.set(parent, seq);
        break;
      case "react":
      case "unreact":
        this.react(parent, textFromUtf8(body) ?? "", sender, kind === "react");
        break;
      case "thread":
        this.threads.add(parent);
        break;
      case "settings":
        this.settings = decodeSettings(body) ?? this.settings;
        break;
      case "member":
        this.join(body, seq);
        break;
      case "ban":
      case "mute":
        this.sanction(kind === "ban" ? this.bans : this.mutes, body);
        break;
      default: {
        kind satisfies never;
      }
    }
  }

  /** Seq of the edit whose text counts now; null = the message's own text does. */
  editOf(message: number): number | null {
    return this.edits.get(message)?.findLast((seq) => !this.redacted.has(seq)) ?? null;
  }

  private join(body: Uint8Array, seq: number): void {
    const member = decodeMember(body);
    if (member === null) return;
    if (member.role === "none") this.members.delete(member.user);
    else this.members.set(member.user, { role: member.role, seq });
  }

  private sanction(list: Map<string, number>, body: Uint8Array): void {
    const sanction = decodeSanction(body);
    if (sanction === null) return;
    if (sanction.until === 0) list.delete(sanction.user);
    else list.set(sanction.user, sanction.until);
  }

  private react(message: number, reaction: string, user: string, on: boolean): void {
    const reactions = this.reactions.get(message) ?? new Map<string, Set<string>>();
    const users = reactions.get(reaction) ?? new Set<string>();
    if (on) users.add(user);
    else users.delete(user);
    if (users.size > 0) reactions.set(reaction, users);
    else reactions.delete(reaction);
    if (reactions.size > 0) this.reactions.set(message, reactions);
    else this.reactions.delete(message);
  }
}
