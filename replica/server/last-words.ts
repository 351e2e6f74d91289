import { writeFileSync } from "node:fs";

/**
 * Leaves the sentence with which a process gives up where Kubernetes looks for it. Written in
 * place, because kubelet mounts that very file. `file` null: the log has to do.
 */
export function leaveLastWords(file: string | null, sentence: string): void {
  if (file === null) return;
  try {
    writeFileSync(file, `${sentence}\n`);
  } catch {
    // The sentence is in the log too.
  }
}
