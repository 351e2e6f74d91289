import { useEffect, useState } from "preact/hooks";
import { currentLogin, type Login } from "./edge-calls.ts";
import { LoginForm } from "./login-form.tsx";
import { RoomPane } from "./room-pane.tsx";

type Stage =
  | { readonly kind: "loading" }
  | { readonly kind: "unreachable" }
  | { readonly kind: "login" }
  | { readonly kind: "chat"; readonly login: Login };

/** The page: asks for a code when nobody is logged in, else shows the room. */
export function App() {
  const [stage, setStage] = useState<Stage>({ kind: "loading" });
  const look = () => {
    currentLogin().then(
      (login) => setStage(login === null ? { kind: "login" } : { kind: "chat", login }),
      () => setStage({ kind: "unreachable" }),
    );
  };
  useEffect(look, []);
  switch (stage.kind) {
    case "loading":
      return <main class="centre" aria-busy="true" />;
    case "unreachable":
      return (
        <main class="centre">
          <p>The chat cannot be reached.</p>
          <button type="button" class="primary" onClick={look}>
            Try again
          </button>
        </main>
      );
    case "login":
      return <LoginForm onLogin={(login) => setStage({ kind: "chat", login })} />;
    case "chat":
      return <RoomPane login={stage.login} onSignedOut={() => setStage({ kind: "login" })} />;
  }
}
