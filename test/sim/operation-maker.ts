import type { Prng } from "#replica/base/prng.ts";
import { utf8From } from "#replica/base/text.ts";
import {
  encodeMember,
  encodeSanction,
  encodeSettings,
  roles,
  untilForever,
} from "#replica/wire/entry-body.ts";
import type { EntryType } from "#replica/wire/entry.ts";
import type { PostFields } from "#replica/wire/operation.ts";
import type { ModelLog } from "#test/model/machine-model.ts";
import {
  configure,
  createDm,
  createRoom,
  type Operation,
  retain,
  trim,
  uuidv7,
} from "#test/support/prepares.ts";

/** The tenant of every run. */
export const tenant = "t";
/** Bytes of an operation beside its body, about. */
export const operationOverhead = 96;

const hourMs = 3_600_000;
const startMs = 1_800_000_000_000;

/** What makers of operations go by. */
export interface MakerWorld {
  readonly authors: number;
  readonly rooms: number;
  readonly bulky: boolean;
  /** Virtual time, with the days that passed at once, ms. */
  readonly nowMs: () => number;
  /** Committed logs by tenant, a space, and name. */
  readonly logs: () => ReadonlyMap<string, ModelLog>;
}

type Post = { readonly kind: "post" } & PostFields;

/** Decides what one author asks for next: every kind of operation, retries and wrong ones too. */
export class OperationMaker {
  private readonly index: number;
  private readonly world: MakerWorld;
  private readonly prng: Prng;
  /** Each author rules now and then; a run in which all did would refuse most messages. */
  private readonly ruling: number;
  private tail = 0;
  private version = 0;
  private readonly before: Post[] = [];

  constructor(index: number, world: MakerWorld, prng: Prng) {
    this.index = index;
    this.world = world;
    this.prng = prng;
    this.ruling = prng.pick([0, 3, 12]);
  }

  /** The next operation, with a body of that many bytes at most; `first`: of this author. */
  next(bodyMax: number, first: boolean): Operation {
    const { prng } = this;
    const fate = prng.below(100);
    if (first || fate < 4) return createRoom(this.plainRoom(), tenant, this.author());
    if (fate < 6) return this.pair();
    if (fate === 6) return this.quotas();
    if (fate < 9) return this.keeping();
    const old = this.before.length > 0 ? prng.pick(this.before) : null;
    if (old !== null && old.body.length <= bodyMax) {
      if (fate < 15) return { ...old, salt: this.salt() };
      if (fate < 18) return { ...old, body: utf8From("other"), salt: this.salt() };
    }
    const made = this.post(bodyMax, fate);
    this.before.push(made);
    return made;
  }

  private post(bodyMax: number, fate: number): Post {
    const { prng } = this;
    const room = fate < 19 ? "nowhere" : this.room(fate);
    const type = this.type();
    const wants = type !== "message" && !["member", "ban", "mute", "settings"].includes(type);
    const answers = type === "message" && prng.chance(0.1);
    const own = type === "edit" || type === "redact" ? prng.chance(0.7) : false;
    const parent = wants || answers ? this.target(room, own) : 0;
    return {
      kind: "post",
      tenant: utf8From(tenant),
      room: utf8From(room),
      sender: utf8From(this.user(this.index)),
      key: this.key(fate),
      salt: this.salt(),
      type,
      parent: fate === 99 ? 100_000 : parent,
      body: this.body(type, bodyMax),
      ...(prng.chance(0.1) ? { authority: true } : {}),
    };
  }

  private type(): EntryType {
    const { prng } = this;
    const rule = prng.below(100) < this.ruling;
    if (rule) return prng.pick<EntryType>(["member", "member", "ban", "mute", "settings"]);
    const fate = prng.below(100);
    if (fate < 70) return "message";
    if (fate < 78) return "edit";
    if (fate < 84) return "redact";
    if (fate < 90) return prng.pick<EntryType>(["react", "unreact"]);
    return fate < 99 ? "marker" : "thread";
  }

  private body(type: EntryType, bodyMax: number): Uint8Array {
    const { prng, world } = this;
    const user = this.user(prng.below(world.authors));
    switch (type) {
      case "member":
        return encodeMember({ user, role: prng.pick([...roles, "member"] as const) });
      case "ban":
      case "mute": {
        const nowUs = Math.floor((startMs + world.nowMs()) * 1000);
        const until = prng.pick([0, nowUs + 50_000, nowUs + 400_000, untilForever]);
        return encodeSanction({ user, until });
      }
      case "settings": {
        const [closed, fromJoin] = [prng.chance(0.3), prng.chance(0.3)];
        const [readonly, privateMarkers] = [prng.chance(0.15), prng.chance(0.3)];
        return encodeSettings({ closed, readonly, fromJoin, privateMarkers });
      }
      case "marker":
      case "thread":
        return utf8From(prng.chance(0.02) ? "?" : "");
      case "react":
      case "unreact":
        return utf8From(prng.pick(["+1", "+1", "héart", ""]));
      case "redact":
        return utf8From(prng.pick(["", "spam"]));
      default:
        return this.text(bodyMax);
    }
  }

  private text(bodyMax: number): Uint8Array {
    const { prng, world } = this;
    const large = prng.chance(world.bulky ? 0.8 : 0.1);
    const most = large ? bodyMax : Math.min(bodyMax, 48);
    const least = world.bulky && large ? Math.floor(most / 2) : 0;
    const body = new Uint8Array(prng.between(least, most)).fill(97 + prng.below(26));
    for (let at = 0; at < Math.min(body.length, 16); at += 1) body[at] = 97 + prng.below(26);
    return body;
  }

  private key(fate: number): Uint8Array {
    this.tail += 1;
    let ms = startMs + Math.floor(this.world.nowMs());
    if (fate === 97) ms -= 25 * hourMs;
    if (fate === 98) ms += hourMs;
    return uuidv7(ms, this.index * 100_000 + this.tail);
  }

  /** A message of a room that is there, mostly a new one, `own` or anybody's; or about any seq. */
  private target(room: string, own = false): number {
    const { prng } = this;
    const author = this.author();
    const entries = this.world.logs().get(`${tenant} ${room}`)?.entries ?? [];
    const back = prng.chance(0.7) ? prng.below(4) : prng.below(entries.length + 1);
    for (let at = entries.length - back; at > 0; at -= 1) {
      const entry = entries[at - 1];
      if (entry?.type !== "message" || (own && entry.sender !== author)) continue;
      return prng.chance(0.95) ? at : at - 1;
    }
    return prng.below(entries.length + 2);
  }

  private room(fate: number): string {
    const { prng } = this;
    const plain = this.plainRoom();
    if (fate < 84) return plain;
    if (fate < 88) return this.pairRoom(this.index, prng.below(this.world.authors));
    if (fate >= 97) return plain;
    return `${plain}/${this.target(plain)}`;
  }

  private plainRoom(): string {
    return `room${this.prng.below(this.world.rooms)}`;
  }

  private pair(): Operation {
    const other = this.prng.below(this.world.authors);
    const room = this.pairRoom(this.index, other);
    const [low, high] = [Math.min(this.index, other), Math.max(this.index, other)];
    return createDm(room, [this.user(low), this.user(high)], tenant);
  }

  private pairRoom(one: number, other: number): string {
    return `two${Math.min(one, other)}${Math.max(one, other)}`;
  }

  private quotas(): Operation {
    const { prng } = this;
    this.version += prng.below(3);
    const room = prng.chance(0.2) ? "" : this.plainRoom();
    const rooms = prng.pick([0, 0, 2, 30]);
    const members = prng.pick([0, 0, 1, 3]);
    const entriesPerSecond = prng.pick([0, 0, 0, 5, 40]);
    return configure({ room, tenant, version: this.version + 1, rooms, members, entriesPerSecond });
  }

  /** How long history is kept, holds, and letting go of what is due or not. */
  private keeping(): Operation {
    const { prng } = this;
    const room = this.plainRoom();
    if (prng.chance(0.5)) {
      const length = this.world.logs().get(`${tenant} ${room}`)?.entries.length ?? 0;
      return trim(room, 1 + prng.below(prng.pick([4, length + 2])), tenant);
    }
    this.version += prng.below(3);
    const policy = {
      ageSeconds: prng.pick([0, 1, 100_000]),
      entries: prng.pick([0, 1, 5]),
      bytes: prng.pick([0, 0, 1, 500]),
      hold: prng.chance(0.2),
    };
    const scope = prng.chance(0.2) ? "" : room;
    return retain({ room: scope, tenant, version: this.version + 1, ...policy });
  }

  private author(): string {
    return this.user(this.index);
  }

  private user(index: number): string {
    return `author${index}`;
  }

  private salt(): Uint8Array {
    return new Uint8Array(16).fill(this.prng.below(256));
  }
}
