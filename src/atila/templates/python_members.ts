/**
 * Members that values have in Jinja and not in JavaScript: `d.items()`, `s.upper()`, `l.append(x)`.
 *
 * @module
 */

import { isPlainObject } from "../../core/plain_object.ts";

type Members = Readonly<Record<string, (...args: unknown[]) => unknown>>;

/** The member of that name, bound to the value; `undefined` when there is none. */
export function pythonMember(value: unknown, name: string): unknown {
  if (typeof value === "string" || value instanceof String) {
    return own(stringMembers(String(value)), name);
  }
  if (Array.isArray(value)) return own(listMembers(value), name);
  if (value instanceof Map) return own(dictMembers(Object.fromEntries(value)), name);
  if (!isPlainObject(value)) return undefined;
  return own(dictMembers(value), name) ??
    (isLoop(value) ? own(loopMembers(value), name) : undefined);
}

/** The counters that `loop` stands for. */
interface Loop {
  readonly index0: number;
}

function isLoop(value: object): value is Loop {
  return Object.hasOwn(value, "index0") && Object.hasOwn(value, "revindex0");
}

function loopMembers({ index0 }: Loop): Members {
  return { cycle: (...values) => values[index0 % values.length] };
}

function own(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

function stringMembers(text: string): Members {
  const isSet = (chars: unknown) => typeof chars === "string" && chars !== "";
  const strip = (chars: unknown, left: boolean, right: boolean) => {
    const unwanted = isSet(chars) ? (c: string) => (chars as string).includes(c) : isBlank;
    let start = 0;
    let end = text.length;
    while (left && start < end && unwanted(text[start]!)) start++;
    while (right && end > start && unwanted(text[end - 1]!)) end--;
    return text.slice(start, end);
  };
  return {
    upper: () => text.toUpperCase(),
    lower: () => text.toLowerCase(),
    capitalize: () => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase(),
    title: () => text.toLowerCase().replace(/\p{L}+/gu, (w) => w[0]!.toUpperCase() + w.slice(1)),
    strip: (chars) => strip(chars, true, true),
    lstrip: (chars) => strip(chars, true, false),
    rstrip: (chars) => strip(chars, false, true),
    startswith: (start) => text.startsWith(String(start)),
    endswith: (end) => text.endsWith(String(end)),
    find: (what) => text.indexOf(String(what)),
    count: (what) => text.split(String(what)).length - 1,
    isdigit: () => /^\p{Nd}+$/u.test(text),
    splitlines: () => text.split(/\r\n|\r|\n/),
    join: (list) => [...list as Iterable<unknown>].join(text),
    zfill: (width) => text.padStart(Number(width), "0"),
  };
}

function isBlank(c: string): boolean {
  return /\s/.test(c);
}

/** Methods that give nothing give an empty text, so that `{{ list.append(x) }}` prints nothing. */
function listMembers(list: unknown[]): Members {
  return {
    append: (item) => (list.push(item), ""),
    extend: (items) => (list.push(...items as Iterable<unknown>), ""),
    insert: (at, item) => (list.splice(Number(at), 0, item), ""),
    remove: (item) => {
      const at = list.indexOf(item);
      if (at === -1) throw new Error("list.remove(x): x is not in the list");
      list.splice(at, 1);
      return "";
    },
    count: (item) => list.filter((member) => member === item).length,
    index: (item) => list.indexOf(item),
  };
}

function dictMembers(dict: Record<string, unknown>): Members {
  return {
    items: () => Object.entries(dict),
    keys: () => Object.keys(dict),
    values: () => Object.values(dict),
    get: (key, otherwise) => Object.hasOwn(dict, String(key)) ? dict[String(key)] : otherwise,
    has_key: (key) => Object.hasOwn(dict, String(key)),
    update: (other) => (Object.assign(dict, other), ""),
    setdefault: (key, value) => {
      if (!Object.hasOwn(dict, String(key))) dict[String(key)] = value;
      return dict[String(key)];
    },
  };
}
