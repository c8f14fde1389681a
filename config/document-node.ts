// The tree of a configuration file, whatever it is written in: values that remember where they
// stand.

/** A value with the place it begins at. `entries` are of objects, `items` of arrays. */
export interface DocumentNode {
  readonly type: "object" | "array" | "string" | "number" | "boolean" | "null";
  readonly offset: number;
  /** Of scalars; null otherwise. */
  readonly value: string | number | boolean | null;
  readonly entries: readonly DocumentEntry[];
  readonly items: readonly DocumentNode[];
}

/** A key with its value; the same key may come again. */
export interface DocumentEntry {
  readonly key: string;
  readonly keyAt: number;
  readonly node: DocumentNode;
}

/** A syntax error, or what else makes a text no configuration. */
export interface TextFault {
  readonly message: string;
  readonly offset: number;
}

/** What a text says; the root is null exactly when there are faults. */
export interface ParsedText {
  readonly root: DocumentNode | null;
  readonly faults: readonly TextFault[];
}

/** No setting lies deeper than a dozen levels. */
export const NESTING_MAX = 64;
/** A syntax error breaks what follows it: the first ones are the true ones. */
export const SYNTAX_FAULTS_MAX = 3;

const NOTHING: readonly never[] = [];

/** A node of an object; keys in the order of the text. */
export function objectNode(offset: number, entries: readonly DocumentEntry[]): DocumentNode {
  return { type: "object", offset, value: null, entries, items: NOTHING };
}

/** A node of an array. */
export function arrayNode(offset: number, items: readonly DocumentNode[]): DocumentNode {
  return { type: "array", offset, value: null, entries: NOTHING, items };
}

/** A node of a string, number, boolean or null. */
export function scalarNode(
  offset: number, value: string | number | boolean | null,
): DocumentNode {
  const type = value === null ? "null" : typeof value as "string" | "number" | "boolean";
  return { type, offset, value, entries: NOTHING, items: NOTHING };
}

/** The plain value of a node; of keys that are there twice, the last. */
export function valueOfNode(node: DocumentNode): unknown {
  switch (node.type) {
    case "object":
      return Object.fromEntries(node.entries.map(({ key, node: inner }) => {
        return [key, valueOfNode(inner)];
      }));
    case "array":
      return node.items.map(valueOfNode);
    default:
      return node.value;
  }
}

/** Offset of the deepest node below `root` that a path such as `ForwardTo[0].Name` reaches. */
export function offsetOf(root: DocumentNode, path: string): number {
  let node = root;
  for (const [, key, index] of path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)) {
    const next = index === undefined
      ? node.entries.find((entry) => entry.key === key)?.node
      : node.items[Number(index)];
    if (next === undefined) break;
    node = next;
  }
  return node.offset;
}
