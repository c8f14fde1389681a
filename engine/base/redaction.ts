// Replaces the secrets of the settings wherever they turn up in a text: as they are, as JSON or an
// address would write them, with their odd characters replaced by dots, and cut off at the end of a
// text.

/** What stands in the place of a secret. */
export const HIDDEN = "(hidden)";
/** A shorter text is no secret: it would be found in every second line. */
export const SECRET_CHARACTERS_MIN = 4;
/** Shorter ones could be a part of a word, and are replaced only where they stand alone. */
const ANYWHERE_CHARACTERS_MIN = 8;
const UNPRINTABLE = /[^\x20-\x7e]/g;
const LETTER_OR_DIGIT = /[A-Za-z0-9]/;

/** Knows the secrets of one run; each thread has its own. */
export class Redaction {
  /** Longest first: one secret may hold another. */
  readonly #secrets: readonly string[];

  /** @param secrets those shorter than SECRET_CHARACTERS_MIN are left alone. */
  constructor(secrets: readonly string[]) {
    const forms = new Set(secrets.filter(isSearchable).flatMap(formsOf).filter(isSearchable));
    this.#secrets = [...forms].toSorted((left, right) => right.length - left.length);
  }

  /** The text without secrets. Linear in the text for each secret; for lines, not for spans. */
  hide(text: string): string {
    let hidden = text;
    for (const secret of this.#secrets) {
      hidden = secret.length >= ANYWHERE_CHARACTERS_MIN
        ? hidden.replaceAll(secret, HIDDEN) : hideWord(hidden, secret);
    }
    for (const secret of this.#secrets) hidden = hideBeginning(hidden, secret);
    return hidden;
  }
}

function isSearchable(secret: string): boolean {
  return secret.length >= SECRET_CHARACTERS_MIN;
}

function formsOf(secret: string): string[] {
  return [
    secret, JSON.stringify(secret).slice(1, -1), secret.replace(UNPRINTABLE, "."),
    encodeURI(secret.toWellFormed()), encodeURIComponent(secret.toWellFormed()),
  ];
}

function hideWord(text: string, word: string): string {
  let hidden = text;
  let at = hidden.indexOf(word);
  while (at >= 0) {
    const end = at + word.length;
    const inside = LETTER_OR_DIGIT.test(hidden[at - 1] ?? "")
      || LETTER_OR_DIGIT.test(hidden[end] ?? "");
    if (inside) {
      at = hidden.indexOf(word, at + 1);
      continue;
    }
    hidden = hidden.slice(0, at) + HIDDEN + hidden.slice(end);
    at = hidden.indexOf(word, at + HIDDEN.length);
  }
  return hidden;
}

/** Texts arrive cut, such as a backend's answer: the cut may lie in the middle of a secret. */
function hideBeginning(text: string, secret: string): string {
  const beginning = secret.slice(0, SECRET_CHARACTERS_MIN);
  let at = text.indexOf(beginning, Math.max(0, text.length - secret.length));
  while (at >= 0) {
    if (secret.startsWith(text.slice(at))) return text.slice(0, at) + HIDDEN;
    at = text.indexOf(beginning, at + 1);
  }
  return text;
}
