// Source text with everything blanked that is not code, so that plain searches find code only.

const PUNCTUATION_BEFORE_REGEX = "(,=:[!&|?{};+-*%<>~^";
const WORD_BEFORE_REGEX = /\b(?:return|typeof|case|in|of|void|delete|throw|do|else|await|yield)$/;

/**
 * The text with spaces for comments and for the insides of strings, templates and regular
 * expressions. Quotes and line ends stay, so offsets and line numbers are those of the text.
 */
export function maskSource(text: string): string {
  const masked = text.split("");
  const templateDepths: number[] = []; // open braces inside each template expression
  let at = 0;
  while (at < text.length) {
    const character = text[at]!;
    let end = at + 1;
    if (text.startsWith("//", at)) {
      end = blank(masked, text, at, endOf(text, "\n", at));
    } else if (text.startsWith("/*", at)) {
      end = blank(masked, text, at, Math.min(endOf(text, "*/", at + 2) + 2, text.length));
    } else if (character === "\"" || character === "'") {
      end = maskString(masked, text, at);
    } else if (character === "/" && startsRegex(masked, at)) {
      end = maskRegex(masked, text, at);
    } else if (character === "`") {
      end = maskTemplate(masked, text, at + 1, templateDepths);
    } else if (templateDepths.length > 0 && character === "{") {
      templateDepths[templateDepths.length - 1]!++;
    } else if (templateDepths.length > 0 && character === "}") {
      if (--templateDepths[templateDepths.length - 1]! === 0) {
        templateDepths.pop();
        end = maskTemplate(masked, text, at + 1, templateDepths);
      }
    }
    at = end;
  }
  return masked.join("");
}

function endOf(text: string, terminator: string, from: number): number {
  const found = text.indexOf(terminator, from);
  return found < 0 ? text.length : found;
}

function blank(masked: string[], text: string, from: number, to: number): number {
  for (let at = from; at < to; at++) if (text[at] !== "\n") masked[at] = " ";
  return to;
}

function maskString(masked: string[], text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== text[from] && text[at] !== "\n") {
    at += text[at] === "\\" ? 2 : 1;
  }
  return blank(masked, text, from + 1, Math.min(at, text.length)) + 1;
}

/** From inside a template to its end, or past the `${` of its next expression. */
function maskTemplate(
  masked: string[], text: string, from: number, templateDepths: number[],
): number {
  let at = from;
  while (at < text.length && text[at] !== "`") {
    if (text.startsWith("${", at)) {
      templateDepths.push(1);
      blank(masked, text, from, at);
      return at + 2;
    }
    at += text[at] === "\\" ? 2 : 1;
  }
  return blank(masked, text, from, Math.min(at, text.length)) + 1;
}

function startsRegex(masked: readonly string[], at: number): boolean {
  let before = at - 1;
  while (before >= 0 && /\s/.test(masked[before]!)) before--;
  if (before < 0 || PUNCTUATION_BEFORE_REGEX.includes(masked[before]!)) return true;
  return WORD_BEFORE_REGEX.test(masked.slice(Math.max(0, before - 9), before + 1).join(""));
}

function maskRegex(masked: string[], text: string, from: number): number {
  let at = from + 1;
  let inClass = false;
  while (at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/")) {
    if (text[at] === "[") inClass = true;
    if (text[at] === "]") inClass = false;
    at += text[at] === "\\" ? 2 : 1;
  }
  return blank(masked, text, from + 1, Math.min(at, text.length)) + 1;
}
