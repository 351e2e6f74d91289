/** metav1.MicroTime of a wall clock in milliseconds: exactly six digits, or servers refuse it. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.(\d{3})Z$/, ".$1000Z");
}

/** metav1.Time of a wall clock in milliseconds: whole seconds. */
export function wholeTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d{3}Z$/, "Z");
}
