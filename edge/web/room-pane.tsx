import type { Chat } from "@tigerchat/sdk";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Conversation } from "./conversation.tsx";
import { type Login, openDm } from "./edge-calls.ts";
import type { Message } from "./message.ts";
import { HistoryMark, type HistoryMarkProps } from "./history-mark.tsx";
import { makeChat, type RoomState } from "./room-store.ts";

const stateText: Readonly<Record<RoomState["link"], string>> = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
};

/** A room that the page can show. */
interface Place {
  readonly room: string;
  readonly title: string;
  /** A conversation of two. */
  readonly direct: boolean;
}

/** What is shown, whether it is live, the other conversations, who is here. */
function Bar({
  place,
  places,
  link,
  history,
  name,
  onShow,
}: {
  readonly place: Place;
  readonly places: readonly Place[];
  readonly link: RoomState["link"];
  readonly history: HistoryMarkProps;
  readonly name: string;
  readonly onShow: (room: string) => void;
}) {
  return (
    <header class="bar">
      <h1 class={place.direct ? "direct" : ""}>{place.title}</h1>
      <span class={`state ${link}`} role="status">
        {stateText[link]}
      </span>
      <HistoryMark {...history} />
      {places.length < 2 ? null : (
        <nav class="places" aria-label="Conversations">
          {places.map(({ room, title, direct }) => (
            <button
              key={room}
              type="button"
              aria-current={room === place.room ? "page" : undefined}
              onClick={() => onShow(room)}
            >
              {direct ? `@${title}` : `#${title}`}
            </button>
          ))}
        </nav>
      )}
      <span class="who">{name}</span>
    </header>
  );
}

/** A thread beside its room. */
function Side({
  root,
  onClose,
  children,
}: {
  readonly root: Message;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  return (
    <aside class="side" aria-label="Thread">
      <header>
        <b>Thread</b>
        <p>{root.body}</p>
        <button type="button" class="plain" onClick={onClose}>
          Close
        </button>
      </header>
      {children}
    </aside>
  );
}

/** One connection for as long as this person is logged in. */
function useChat(login: Login, onSignedOut: () => void): Chat | null {
  const [chat, setChat] = useState<Chat | null>(null);
  useEffect(() => {
    const made = makeChat(onSignedOut);
    setChat(made);
    return () => made.close();
  }, [login.user]);
  return chat;
}

const unchecked: HistoryMarkProps = { state: null, trustKeys: () => undefined };

/** Whether the room that is shown is live, and what was verified of its history. */
function useLink() {
  const [link, setLink] = useState<RoomState["link"]>("connecting");
  const [history, setHistory] = useState(unchecked);
  const onLink = (
    next: RoomState["link"],
    state: RoomState["history"],
    trustKeys: () => void = unchecked.trustKeys,
  ) => {
    setLink(next);
    setHistory({ state, trustKeys });
  };
  return { link, history, onLink };
}

/** The rooms of this login and conversations of two, one at a time; a thread beside it. */
export function RoomPane({
  login,
  onSignedOut,
}: {
  readonly login: Login;
  readonly onSignedOut: () => void;
}) {
  const rooms = login.rooms.length === 0 ? ["lobby"] : login.rooms;
  const chat = useChat(login, onSignedOut);
  const [places, setPlaces] = useState<readonly Place[]>(
    rooms.map((room) => ({ room, title: room, direct: false })),
  );
  const [shown, setShown] = useState(rooms[0] ?? "lobby");
  const [thread, setThread] = useState<Message | null>(null);
  const { link, history, onLink } = useLink();
  const show = (room: string) => {
    setThread(null);
    onLink("connecting", null);
    setShown(room);
  };
  const writeTo = async (user: string) => {
    const room = await openDm([login.user, user]).catch(() => null);
    if (room === null) return;
    setPlaces((known) => {
      if (known.some((place) => place.room === room)) return known;
      return [...known, { room, title: user, direct: true }];
    });
    show(room);
  };
  const place = places.find(({ room }) => room === shown);
  if (chat === null || place === undefined) return <main class="centre" aria-busy="true" />;
  const root = thread?.seq ?? null;
  const onPerson = (user: string) => void writeTo(user);
  const common = { chat, room: place.room, user: login.user, onPerson };
  return (
    <main class={root === null ? "room" : "room beside"}>
      <Bar
        place={place}
        places={places}
        link={link}
        history={history}
        name={login.name}
        onShow={show}
      />
      <Conversation
        key={place.room}
        {...common}
        title={place.title}
        thread={null}
        onLink={onLink}
        onThread={setThread}
      />
      {thread === null || root === null ? null : (
        <Side root={thread} onClose={() => setThread(null)}>
          <Conversation
            key={root}
            {...common}
            title="the thread"
            thread={root}
            onLink={() => undefined}
            onThread={() => undefined}
          />
        </Side>
      )}
    </main>
  );
}
