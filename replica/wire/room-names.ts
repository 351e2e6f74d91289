/*
 * A thread is the log `<room>/<seq of its root>`: a room with a seq of its own, in the slot of its
 * room, judged by the rules of its room. Ids of rooms hold no slash: it stands in threads' names
 * alone.
 */

/** Separates a room's id from the seq of a thread's root. */
export const threadSeparator = "/";

/** Name of the thread under entry `root` of a room. */
export function threadName(room: string, root: number): string {
  return `${room}${threadSeparator}${root}`;
}

/** Room and root of a thread's name; null when it is a room's. */
export function threadOf(name: string): { readonly room: string; readonly root: number } | null {
  const slash = name.indexOf(threadSeparator);
  if (slash < 1) return null;
  const text = name.slice(slash + 1);
  if (!/^[1-9][0-9]{0,15}$/.test(text)) return null;
  const root = Number(text);
  return Number.isSafeInteger(root) ? { room: name.slice(0, slash), root } : null;
}
