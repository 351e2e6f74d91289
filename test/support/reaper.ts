import { type ChildProcess, spawn } from "node:child_process";
import type { Writable } from "node:stream";

/**
 * Reads "+PID" and "-PID" lines; ends what is left once nobody can write any more: the end of the
 * process that started it, kill -9 included.
 */
const script = `
alive=" "
while read -r line; do
  pid="\${line#?}"
  case "$line" in
    +*) alive="$alive$pid " ;;
    -*) case "$alive" in *" $pid "*) alive="\${alive%% $pid *} \${alive#* $pid }" ;; esac ;;
  esac
done
for pid in $alive; do kill -9 "$pid" 2>/dev/null; done
`;

let pipe: Writable | null = null;

function reaper(): Writable {
  if (pipe !== null) return pipe;
  // A session of its own: what ends this process's whole group must not end it too.
  const stdio = ["pipe", "ignore", "ignore"] as const;
  const child = spawn("sh", ["-c", script], { detached: true, stdio: [...stdio] });
  child.unref();
  // Without it a child of a killed test lives on, which is no reason to fail.
  child.on("error", () => undefined);
  const { stdin } = child;
  if (stdin === null) throw new Error("a pipe was asked for");
  stdin.on("error", () => undefined);
  (stdin as unknown as { unref?: () => void }).unref?.();
  pipe = stdin;
  return stdin;
}

/** From now on that child ends, at the latest, when this process does, however that ends. */
export function endsWithThis(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  reaper().write(`+${pid}\n`);
  child.once("exit", () => reaper().write(`-${pid}\n`));
}
