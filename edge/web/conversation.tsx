import type { Chat } from "@tigerchat/sdk";
import { useEffect, useState } from "preact/hooks";
import { Composer } from "./composer.tsx";
import type { Message } from "./message.ts";
import { MessageList } from "./message-list.tsx";
import { type RoomState, RoomStore } from "./room-store.ts";

/** Of a conversation. */
export interface ConversationProps {
  readonly chat: Chat;
  readonly room: string;
  /** What the room is called on the page. */
  readonly title: string;
  readonly thread: number | null;
  readonly user: string;
  /** `trustKeys`: the person trusts the keys that the room's shard has now. */
  readonly onLink: (
    link: RoomState["link"],
    history: RoomState["history"],
    trustKeys: () => void,
  ) => void;
  readonly onThread: (message: Message) => void;
  readonly onPerson: (user: string) => void;
}

/** The store of a room or thread while it is shown, and what it says. */
function useStore({ chat, room, thread, user, onLink }: ConversationProps) {
  const [store, setStore] = useState<RoomStore | null>(null);
  const [state, setState] = useState<RoomState | null>(null);
  useEffect(() => {
    const onState = (next: RoomState) => {
      setState(next);
      onLink(next.link, next.history, () => void opened.trustKeys());
    };
    const opened: RoomStore = new RoomStore({ chat, room, thread, user, onState });
    setStore(opened);
    return () => opened.close();
  }, [chat, room, thread, user]);
  return { store, state };
}

/** Messages of one room or thread, and a line to write in. */
export function Conversation(props: ConversationProps) {
  const { room, title, thread, user, onThread, onPerson } = props;
  const { store, state } = useStore(props);
  const [editing, setEditing] = useState<Message | null>(null);
  if (store === null || state === null) return <div class="conversation" aria-busy="true" />;
  const send = (body: string) => {
    const seq = editing?.seq ?? null;
    if (seq === null) store.send(body);
    else store.edit(seq, body);
    setEditing(null);
  };
  return (
    <div class="conversation">
      <MessageList
        room={room}
        messages={state.messages}
        hasOlder={state.hasOlder}
        onOlder={() => store.loadOlder()}
        actions={{
          user,
          staff: state.staff,
          threads: thread === null,
          onRetry: (key) => store.retry(key),
          onEdit: setEditing,
          onRemove: (seq) => store.remove(seq),
          onReact: (seq, reaction, on) => store.react(seq, reaction, on),
          onThread,
          onPerson,
        }}
      />
      {state.notice === "" ? null : (
        <p class="notice" role="alert">
          {state.notice}
        </p>
      )}
      <Composer
        id={thread === null ? "draft" : "thread-draft"}
        room={title}
        editing={editing?.body ?? null}
        onSend={send}
        onCancel={() => setEditing(null)}
      />
    </div>
  );
}
