/** What the project is about. */
export const things: string[] = ["one thing"];
