/**
 * Literals of Python, as headers of `.npy` files hold them: what `ast.literal_eval` reads, without sets,
 * bytes, floats and complex numbers.
 *
 * @module
 */

export type PythonLiteral =
  | string
  | number
  | boolean
  | null
  | PythonLiteral[]
  | Map<PythonLiteral, PythonLiteral>;

/** No header nests as deep. */
const MOST_LEVELS = 32;
const ESCAPES: Record<string, string> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
};
const WORDS: Record<string, PythonLiteral> = { True: true, False: false, None: null };

/**
 * Reads one literal; tuples and lists are lists, dictionaries are maps.
 *
 * @throws {SyntaxError} If the text is not one.
 */
export function parsePythonLiteral(text: string): PythonLiteral {
  let at = 0;
  const fail = () => new SyntaxError(`there is no literal at character ${at}`);
  const skip = () => {
    while (/\s/.test(text[at] ?? "")) at++;
  };
  const take = (token: string) => {
    skip();
    const isNext = text.startsWith(token, at);
    if (isNext) at += token.length;
    return isNext;
  };
  const expect = (token: string) => {
    if (!take(token)) throw fail();
  };
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };

  function string(): string | undefined {
    const found = match(/[uU]?(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")/y);
    return found?.slice(1).find((part) => part !== undefined)?.replace(/\\(.)/g, (_, letter) => {
      const plain = ESCAPES[letter];
      if (plain === undefined) throw fail();
      return plain;
    });
  }

  function list(end: string, level: number): { items: PythonLiteral[]; comma: boolean } {
    const items: PythonLiteral[] = [];
    let comma = false;
    while (!take(end)) {
      if (items.length > 0 && !comma) throw fail();
      items.push(value(level));
      comma = take(",");
    }
    return { items, comma };
  }

  function dictionary(level: number): Map<PythonLiteral, PythonLiteral> {
    const entries = new Map<PythonLiteral, PythonLiteral>();
    let comma = true;
    while (!take("}")) {
      if (!comma) throw fail();
      const key = value(level);
      expect(":");
      entries.set(key, value(level));
      comma = take(",");
    }
    return entries;
  }

  function value(level: number): PythonLiteral {
    if (level > MOST_LEVELS) throw fail();
    skip();
    if (take("(")) {
      const { items, comma } = list(")", level + 1);
      // in parentheses alone a value is itself
      return items.length === 1 && !comma ? items[0]! : items;
    }
    if (take("[")) return list("]", level + 1).items;
    if (take("{")) return dictionary(level + 1);
    const text = string();
    if (text !== undefined) return text;
    // Python 2 marked long ones
    const number = match(/([+-]?\d+)L?(?![\w.])/y);
    if (number) return Number(number[1]);
    const word = match(/(True|False|None)(?!\w)/y);
    if (!word) throw fail();
    return WORDS[word[1]!]!;
  }

  const found = value(0);
  skip();
  if (at < text.length) throw fail();
  return found;
}
