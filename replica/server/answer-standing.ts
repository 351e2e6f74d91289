import { seqFrom } from "#replica/base/brands.ts";
import type { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import { threadName, threadOf } from "#replica/wire/room-names.ts";
import { encodeStanding } from "#replica/wire/room-standing.ts";

const nothing = new Uint8Array(0);

/** A standing as bytes, with the position of the room; empty bytes unless the answer is ok. */
export interface StandingAnswer {
  readonly answer: RoomAnswer;
  readonly bytes: Uint8Array;
}

/**
 * Position of a room or thread. A thread is made by its first answer: before, it counts as there
 * and empty when its room is. `answer`: what the machine says of it.
 */
export function orEmptyThread(
  machine: ChatMachine,
  { tenant, room }: RoomName,
  answer: RoomAnswer,
): RoomAnswer {
  const thread = answer.code === "no_room" ? threadOf(room) : null;
  if (thread === null) return answer;
  const base = machine.room({ tenant, room: thread.room });
  return base.code === "ok" ? { ...base, head: seqFrom(0), floor: seqFrom(1) } : base;
}

/** Says what a user is in a room or thread; who sees the root of a thread will see it. */
export function answerStanding(machine: ChatMachine, name: RoomName, user: string): StandingAnswer {
  const answer = machine.room(name);
  const thread = threadOf(name.room);
  if (answer.code === "no_room" && thread !== null) {
    return emptyThread(machine, { tenant: name.tenant, room: thread.room }, thread.root, user);
  }
  const standing = answer.code === "ok" ? machine.standing(name, user) : null;
  if (standing === null) return { answer, bytes: nothing };
  const { viewer, ...rest } = standing;
  const { staff, fromSeq } = viewer;
  return { answer, bytes: encodeStanding({ ...rest, staff, fromSeq }) };
}

function emptyThread(
  machine: ChatMachine,
  base: RoomName,
  root: number,
  user: string,
): StandingAnswer {
  const name = { tenant: base.tenant, room: threadName(base.room, root) };
  const answer = orEmptyThread(machine, name, { code: "no_room" });
  const standing = answer.code === "ok" ? machine.standing(base, user) : null;
  if (standing === null) return { answer, bytes: nothing };
  const { viewer, ...rest } = standing;
  const fromSeq = root >= viewer.fromSeq ? 0 : Number.MAX_SAFE_INTEGER;
  const bytes = encodeStanding({ ...rest, marker: 0, staff: viewer.staff, fromSeq });
  return { answer, bytes };
}
