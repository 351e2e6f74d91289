import { useEffect, useState } from "preact/hooks";
import { Composer } from "./composer.tsx";
import type { Login } from "./edge-calls.ts";
import { MessageList } from "./message-list.tsx";
import { type RoomState, RoomStore } from "./room-store.ts";

const stateText: Readonly<Record<RoomState["link"], string>> = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
};

/** One room: who is here, what was said, a line to write in. */
export function RoomPane({
  login,
  onSignedOut,
}: {
  readonly login: Login;
  readonly onSignedOut: () => void;
}) {
  const room = login.rooms[0] ?? "lobby";
  const [store, setStore] = useState<RoomStore | null>(null);
  const [state, setState] = useState<RoomState | null>(null);
  useEffect(() => {
    const opened = new RoomStore({ room, user: login.user, onState: setState, onSignedOut });
    setStore(opened);
    return () => opened.close();
  }, [room, login.user]);
  if (store === null || state === null) return <main class="centre" aria-busy="true" />;
  return (
    <main class="room">
      <header class="bar">
        <h1>{room}</h1>
        <span class={`state ${state.link}`} role="status">
          {stateText[state.link]}
        </span>
        <span class="who">{login.name}</span>
      </header>
      <MessageList
        room={room}
        messages={state.messages}
        hasOlder={state.hasOlder}
        onOlder={() => store.loadOlder()}
        onRetry={(key) => store.retry(key)}
      />
      <Composer room={room} onSend={(body) => store.send(body)} />
    </main>
  );
}
