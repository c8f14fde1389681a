// A reader of logfmt, written from its description and not from the writer: pairs with single
// spaces between them, a key of letters, digits and "_.-", "=", then either a bare value without
// space, quote, "=" or control characters, or a value in quotes with the escapes of JSON.

/** The pairs of one line. @throws Error for what is no logfmt. */
export function parseLogfmt(line: string): Map<string, string | null> {
  const pairs = new Map<string, string | null>();
  let at = 0;
  while (at < line.length) {
    const key = /[A-Za-z0-9_.-]+/y;
    key.lastIndex = at;
    const name = key.exec(line)?.[0];
    if (name === undefined) throw new Error(`no key at ${at}: ${line}`);
    at += name.length;
    if (line[at] !== "=") throw new Error(`no = at ${at}: ${line}`);
    at++;
    if (pairs.has(name)) throw new Error(`${name} twice: ${line}`);
    if (line[at] === "\"") {
      const [text, end] = readQuoted(line, at + 1);
      pairs.set(name, text);
      at = end;
    } else {
      const end = line.indexOf(" ", at) < 0 ? line.length : line.indexOf(" ", at);
      const bare = line.slice(at, end);
      if (bare === "" || /[\p{Cc}"=]/u.test(bare)) throw new Error(`bad value at ${at}: ${line}`);
      pairs.set(name, bare === "null" ? null : bare);
      at = end;
    }
    if (at === line.length) break;
    if (line[at] !== " ") throw new Error(`no space at ${at}: ${line}`);
    at++;
  }
  return pairs;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\"": "\"", "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t",
};

function readQuoted(line: string, from: number): [string, number] {
  let text = "";
  for (let at = from; at < line.length; at++) {
    const character = line[at]!;
    if (character === "\"") return [text, at + 1];
    if (character < " ") throw new Error(`a control character at ${at}: ${line}`);
    if (character !== "\\") {
      text += character;
      continue;
    }
    at++;
    if (line[at] === "u") {
      const digits = line.slice(at + 1, at + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new Error(`a bad escape at ${at}: ${line}`);
      text += String.fromCharCode(Number.parseInt(digits, 16));
      at += 4;
      continue;
    }
    const meant = ESCAPES[line[at] ?? ""];
    if (meant === undefined) throw new Error(`a bad escape at ${at}: ${line}`);
    text += meant;
  }
  throw new Error(`no closing quote: ${line}`);
}
