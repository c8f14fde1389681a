// A configuration in YAML 1.2 as the same tree that JSON makes: aliases are put in where they
// stand, merge keys (<<) are followed, keys are text. What the parser says of a text may quote it,
// and with it secrets: its codes become sentences of ours.

import {
  isAlias, isMap, isScalar, isSeq, parseDocument, type Alias, type Node, type YAMLMap,
} from "yaml";
import {
  arrayNode, NESTING_MAX, objectNode, scalarNode, SYNTAX_FAULTS_MAX,
  type DocumentEntry, type DocumentNode, type ParsedText, type TextFault,
} from "./document-node.ts";

/** The parser needs seconds for more, and no configuration is as long. */
const YAML_CHARACTERS_MAX = 1024 * 1024;
/** Nodes that aliases may add: a page of aliases to aliases can stand for billions of them. */
const ALIAS_NODES_MAX = 10_000;
const MERGE_KEY = "<<";

const QUOTE_IT = "put the value in double quotes";
const SYNTAX_SENTENCES: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias (*name) can have no anchor or tag of its own",
  BAD_ALIAS: "this is no alias; if the value begins with * or &, put it in double quotes",
  BAD_COLLECTION_TYPE: "the tag does not fit the value; remove it",
  BAD_DIRECTIVE: "this line beginning with % is no directive of YAML",
  BAD_DQ_ESCAPE: "this escape is unknown; write a backslash as \\\\, or use single quotes",
  BAD_INDENT: "the indentation does not fit the lines before; use the same number of spaces for "
    + "the keys of one object",
  BAD_PROP_ORDER: "anchors and tags stand before the value",
  BAD_SCALAR_START: `a value cannot begin with this character; ${QUOTE_IT}`,
  BLOCK_AS_IMPLICIT_KEY: "a second colon in one line, or keys that are indented too far; "
    + `${QUOTE_IT} if it has a colon and a space, else fix the indentation`,
  BLOCK_IN_FLOW: "lines with - or indented keys cannot stand inside { } or [ ]",
  DUPLICATE_KEY: "the key is written twice",
  KEY_OVER_1024_CHARS: "this key is far too long; is a colon or a quote missing?",
  MISSING_CHAR: "a quote, bracket, comma or colon is missing; the place is where it was noticed",
  MULTILINE_IMPLICIT_KEY: "a key cannot span lines; is the colon after it missing, or the "
    + "indentation wrong?",
  MULTIPLE_ANCHORS: "a value can have one anchor",
  MULTIPLE_DOCS: "the file must hold one document: remove what follows the line ---",
  MULTIPLE_TAGS: "a value can have one tag",
  NON_STRING_KEY: "keys are text",
  RESOURCE_EXHAUSTION: `objects and arrays are nested deeper than ${NESTING_MAX} levels`,
  TAB_AS_INDENT: "a tab is used to indent; use spaces",
  TAG_RESOLVE_FAILED: "tags (!name) mean nothing here; remove it",
  UNEXPECTED_TOKEN: `this is not expected here; ${QUOTE_IT} if it has one of [ ] { } , # - in it`,
};

/** Reads YAML; offsets are into `text`. */
export function parseYamlText(text: string): ParsedText {
  if (text.length > YAML_CHARACTERS_MAX) {
    const message = `the file has more than ${YAML_CHARACTERS_MAX} characters`;
    return { root: null, faults: [{ message, offset: 0 }] };
  }
  const document = parseDocument(text, {
    prettyErrors: false, uniqueKeys: false, logLevel: "error", version: "1.2",
  });
  const errors = [...document.errors, ...document.warnings];
  if (errors.length > 0) {
    const faults = errors.slice(0, SYNTAX_FAULTS_MAX).map(({ code, pos }): TextFault => {
      return { message: `not valid YAML: ${SYNTAX_SENTENCES[code] ?? code}`, offset: pos[0] };
    });
    return { root: null, faults };
  }
  const reader = new TreeReader();
  const root = reader.read(document.contents, document.contents?.range?.[0] ?? 0, 1);
  const { faults } = reader;
  if (faults.length === 0 && root.type !== "object") {
    const message = "the file must hold keys and values, such as \"ListenFrom: [...]\"";
    faults.push({ message, offset: root.offset });
  }
  return { root: faults.length === 0 ? root : null, faults: faults.slice(0, SYNTAX_FAULTS_MAX) };
}

/** Walks the parser's tree in the order of the text, so that an alias finds the anchor before. */
class TreeReader {
  readonly faults: TextFault[] = [];
  readonly #anchors = new Map<string, Node>();
  /** Aliases that are being put in, and where the outermost stands. */
  #aliasDepth = 0;
  #aliasAt = 0;
  #aliasNodes = 0;

  read(node: Node | null, at: number, depth: number): DocumentNode {
    const offset = node?.range?.[0] ?? at;
    if (node === null) return scalarNode(offset, null);
    if (this.#isTooMuch(offset, depth)) return scalarNode(offset, null);
    if (isAlias(node)) return this.#readAlias(node, offset, depth);
    if (this.#aliasDepth === 0 && "anchor" in node && node.anchor !== undefined) {
      this.#anchors.set(node.anchor, node);
    }
    if (isMap(node)) return objectNode(offset, this.#readEntries(node, depth));
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as Node | null, offset, depth + 1));
      return arrayNode(offset, items);
    }
    return this.#readScalar(isScalar(node) ? node.value : undefined, offset);
  }

  #isTooMuch(offset: number, depth: number): boolean {
    if (this.#aliasDepth > 0) this.#aliasNodes++;
    if (this.#aliasNodes > ALIAS_NODES_MAX) {
      // Said once: what follows is not looked at.
      if (this.#aliasNodes === ALIAS_NODES_MAX + 1) {
        const message = `aliases add more than ${ALIAS_NODES_MAX} values; write fewer of them`;
        this.#fault(message, this.#aliasAt);
      }
      return true;
    }
    if (depth <= NESTING_MAX) return false;
    this.#fault(SYNTAX_SENTENCES["RESOURCE_EXHAUSTION"]!, offset); // it is in the table
    return true;
  }

  #readAlias(alias: Alias, offset: number, depth: number): DocumentNode {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) {
      const message = "there is no anchor (&name) of this alias before it; if the value begins "
        + "with *, put it in double quotes";
      this.#fault(message, offset);
      return scalarNode(offset, null);
    }
    if (this.#aliasDepth === 0) this.#aliasAt = offset;
    this.#aliasDepth++;
    const read = this.read(target, offset, depth + 1);
    this.#aliasDepth--;
    return read;
  }

  #readEntries(map: YAMLMap, depth: number): DocumentEntry[] {
    const own: DocumentEntry[] = [];
    const merged: DocumentEntry[] = [];
    for (const pair of map.items) {
      const key = pair.key as Node | null;
      const keyAt = key?.range?.[0] ?? map.range?.[0] ?? 0;
      if (!isScalar(key) || typeof key.value === "object" || key.value === undefined) {
        this.#fault("a key must be text; is the value before it missing its quotes?", keyAt);
        continue;
      }
      const node = this.read(pair.value as Node | null, keyAt, depth + 1);
      if (key.value === MERGE_KEY && key.type === "PLAIN") merged.push(...this.#merge(node, keyAt));
      else own.push({ key: String(key.value), keyAt, node });
    }
    const written = new Set(own.map(({ key }) => key));
    for (const entry of merged) { // what is written here wins, then what is merged first
      if (written.has(entry.key)) continue;
      written.add(entry.key);
      own.push(entry);
    }
    return own;
  }

  #merge(node: DocumentNode, keyAt: number): readonly DocumentEntry[] {
    const sources = node.type === "array" ? node.items : [node];
    if (sources.some(({ type }) => type !== "object")) {
      this.#fault("<< takes an alias of an object, or a list of such aliases", keyAt);
      return [];
    }
    return sources.flatMap(({ entries }) => entries);
  }

  #readScalar(value: unknown, offset: number): DocumentNode {
    if (value === null || typeof value === "string" || typeof value === "boolean") {
      return scalarNode(offset, value);
    }
    if (typeof value === "number" && Number.isFinite(value)) return scalarNode(offset, value);
    this.#fault(`settings have no values of this kind; ${QUOTE_IT}`, offset);
    return scalarNode(offset, null);
  }

  #fault(message: string, offset: number): void {
    this.faults.push({ message, offset });
  }
}
