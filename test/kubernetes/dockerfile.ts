/** The paths that a Dockerfile copies from its context, in order of appearance, without repeats. */
export function copySources(dockerfile: string): string[] {
  const joined = dockerfile.replaceAll(/\\\r?\n/g, " ");
  const found: string[] = [];
  for (const line of joined.split("\n")) {
    const words = line.trim().split(/\s+/);
    const instruction = words[0]?.toUpperCase();
    if (instruction !== "COPY" && instruction !== "ADD") continue;
    const flags = words.filter((word) => word.startsWith("--"));
    if (flags.some((flag) => flag.startsWith("--from="))) continue;
    const paths = words.slice(1).filter((word) => !word.startsWith("--"));
    found.push(...paths.slice(0, -1));
  }
  return [...new Set(found)];
}
