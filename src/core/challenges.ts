/**
 * `WWW-Authenticate` with several challenges. `Headers` puts them into one line, and few clients take
 * such a line apart as they should; curl reads the parameters of all of them as one challenge.
 *
 * @module
 */

/** A scheme, where a challenge begins: a name that no `=` follows, which one of a parameter has. */
const BEGIN = /^\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]+[^\s=]|[ \t]*(?:,|$))/;

/** The challenges of a header value, one by one. Commas in quotes separate nothing. */
export function splitChallenges(value: string): string[] {
  const challenges: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const character = value[i];
    if (quoted && character === "\\") i++;
    else if (character === '"') quoted = !quoted;
    else if (character === "," && !quoted && BEGIN.test(value.slice(i + 1))) {
      challenges.push(value.slice(start, i).trim());
      start = i + 1;
    }
  }
  challenges.push(value.slice(start).trim());
  return challenges;
}

/** Gives each challenge a line of its own. */
export function separateChallenges(headers: Headers): void {
  const value = headers.get("www-authenticate");
  if (value === null) return;
  const challenges = splitChallenges(value);
  if (challenges.length < 2) return;
  headers.delete("www-authenticate");
  for (const challenge of challenges) headers.append("www-authenticate", challenge);
}
