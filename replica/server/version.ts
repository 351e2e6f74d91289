/** Release of this replica; equal to package.json's version (a test compares). */
export const version = "0.1.0";
