import { useState } from "preact/hooks";
import icon from "./icon.svg";
import { EdgeError, type Login, logIn } from "./edge-calls.ts";

/** Asks for a one-time code and reports the login. */
export function LoginForm({ onLogin }: { readonly onLogin: (login: Login) => void }) {
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      onLogin(await logIn(code.trim().toUpperCase()));
    } catch (error) {
      setProblem(error instanceof EdgeError ? error.message : "The chat cannot be reached.");
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="centre">
      <form class="card" onSubmit={submit}>
        <img src={icon} alt="" width="44" height="44" />
        <h1>TigerChat</h1>
        <label for="code">One-time code</label>
        <input
          id="code"
          name="code"
          value={code}
          onInput={(event) => setCode(event.currentTarget.value)}
          placeholder="XXXX-XXXX"
          autocomplete="one-time-code"
          spellcheck={false}
          autofocus
          required
          aria-describedby="code-help"
          aria-invalid={problem !== ""}
        />
        <p id="code-help" class={problem === "" ? "help" : "help problem"} role="status">
          {problem === "" ? "Printed where the server was started. It works once." : problem}
        </p>
        <button type="submit" class="primary" disabled={busy || code.trim() === ""}>
          Enter
        </button>
      </form>
    </main>
  );
}
