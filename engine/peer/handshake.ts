// The first words on a connection between two nodes: who is there, of which cluster, and that both
// know ClusterSecret. JSON lines, because they are rare and people may have to read them.
//
//   dialer   ─► Hello: formats, cluster, stream, whom it means, who it is, nonce
//   answerer ─► Answer: format, who it is, nonce                  or Refusal
//   dialer   ─► Proof                                             (or closes: it meant another)
//   answerer ─► Proof                                             or Refusal
//
// A proof is an HMAC over all words of both sides, and says whose it is, so nobody can be made to
// prove for another. The dialer proves first: it dials whom the map names, while anybody can dial
// a node and would get something to try secrets on. Proofs say who is there when it begins; they do
// not protect what is sent afterwards from somebody who can change packets.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Of the handshake and of all that follows. */
export const LINK_FORMAT = 1;
/** Spoken too: the format before, once there is one. Nodes are upgraded one after the other. */
export const LINK_FORMAT_OLDEST = 1;
/** A line, before it is known who speaks. */
export const HANDSHAKE_LINE_BYTES_MAX = 4_096;
/** Names, ids and nonces; as in the map. */
const TEXT_CHARACTERS_MAX = 255;
const REFUSAL_CHARACTERS_MAX = 512;
const NONCE_BYTES = 18;
const NONCE_CHARACTERS_MIN = 16;
const STREAMS_MAX = 2;
const NEWLINE = 10;

const NO_GATEWAY = "what came is no word of a gateway: ListenRebalanceAddress is for the other"
  + " nodes of its cluster only";
export const WRONG_SECRET = "ClusterSecret is not the same on both nodes";

/** A node, as it introduces itself. */
export interface LinkIdentity {
  readonly name: string;
  readonly logId: string;
  readonly incarnation: string;
}

export interface Hello {
  /** Newest and oldest format of the dialer. */
  readonly tailrace: number;
  readonly oldest: number;
  readonly cluster: string;
  readonly stream: number;
  readonly to: Omit<LinkIdentity, "name">;
  readonly from: LinkIdentity;
  readonly nonce: string;
}

export interface Answer {
  /** The newest format that both sides speak. */
  readonly tailrace: number;
  readonly from: LinkIdentity;
  readonly nonce: string;
}

export function createNonce(): string {
  return randomBytes(NONCE_BYTES).toString("base64");
}

/** Whose proof it is. */
export type Side = "dialer" | "answerer";

/** HMAC-SHA256 in base64. An empty secret proves nothing but agrees with another empty one. */
export function proofOf(secret: string, side: Side, hello: Hello, answer: Answer): string {
  const words = [
    "tailrace link", side, hello.tailrace, hello.oldest, hello.cluster, hello.stream,
    hello.to.logId, hello.to.incarnation, ...wordsOf(hello.from), hello.nonce,
    answer.tailrace, ...wordsOf(answer.from), answer.nonce,
  ];
  return createHmac("sha256", secret).update(JSON.stringify(words)).digest("base64");
}

function wordsOf({ name, logId, incarnation }: LinkIdentity): string[] {
  return [name, logId, incarnation];
}

/** Compares in a time that says nothing about where they differ. */
export function isProof(given: string, expected: string): boolean {
  const left = Buffer.from(given);
  const right = Buffer.from(expected);
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * What came as a Hello, or in words why it is refused.
 * @param cluster ClusterName here. @param self this node's name.
 */
export function readHello(line: string, cluster: string, self: string): Hello | string {
  const value = parseObject(line);
  const tailrace = wholeOf(value?.["tailrace"]);
  const oldest = wholeOf(value?.["oldest"]);
  if (value === null || tailrace === null || oldest === null) return NO_GATEWAY;
  // Before the rest, which another format may have changed.
  const from = readIdentity(value["from"]);
  const other = from === null ? "the other node" : `"${from.name}"`;
  if (oldest > LINK_FORMAT) {
    return `${other} speaks link format ${oldest} or newer, "${self}" up to ${LINK_FORMAT}: `
      + `upgrade "${self}"`;
  }
  if (tailrace < LINK_FORMAT_OLDEST) {
    return `${other} speaks link format ${tailrace} or older, "${self}" from `
      + `${LINK_FORMAT_OLDEST}: upgrade ${other}`;
  }
  const stream = wholeOf(value["stream"]);
  const to = objectOf(value["to"]);
  const logId = textOf(to?.["logId"]);
  const incarnation = textOf(to?.["incarnation"]);
  const nonce = nonceOf(value["nonce"]);
  const given = value["cluster"];
  if (stream === null || stream >= STREAMS_MAX || from === null || logId === null
    || incarnation === null || nonce === null || typeof given !== "string") return NO_GATEWAY;
  if (given !== cluster) {
    return `ClusterName is ${JSON.stringify(cluster)} at "${self}" and `
      + `${JSON.stringify(given.slice(0, TEXT_CHARACTERS_MAX))} at "${from.name}"`;
  }
  return { tailrace, oldest, cluster, stream, to: { logId, incarnation }, from, nonce };
}

/** Null when it is none. */
export function readAnswer(line: string): Answer | null {
  const value = parseObject(line);
  const tailrace = wholeOf(value?.["tailrace"]);
  const from = readIdentity(value?.["from"]);
  const nonce = nonceOf(value?.["nonce"]);
  if (tailrace === null || from === null || nonce === null) return null;
  return { tailrace, from, nonce };
}

/** Null when it is none. */
export function readProof(line: string): string | null {
  return textOf(parseObject(line)?.["proof"]);
}

/** Null when it is none. */
export function readRefusal(line: string): string | null {
  const refused = parseObject(line)?.["refused"];
  return typeof refused === "string" ? refused.slice(0, REFUSAL_CHARACTERS_MAX) : null;
}

function readIdentity(value: unknown): LinkIdentity | null {
  const fields = objectOf(value);
  const name = textOf(fields?.["name"]);
  const logId = textOf(fields?.["logId"]);
  const incarnation = textOf(fields?.["incarnation"]);
  if (name === null || logId === null || incarnation === null) return null;
  return { name, logId, incarnation };
}

function parseObject(line: string): Record<string, unknown> | null {
  try {
    return objectOf(JSON.parse(line));
  } catch {
    return null; // whoever speaks is no gateway
  }
}

function objectOf(value: unknown): Record<string, unknown> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return value as Record<string, unknown>; // any object is one of unknown fields
}

function textOf(value: unknown): string | null {
  const isText = typeof value === "string" && value !== "" && value.length <= TEXT_CHARACTERS_MAX;
  return isText ? value : null;
}

function nonceOf(value: unknown): string | null {
  const nonce = textOf(value);
  return nonce !== null && nonce.length >= NONCE_CHARACTERS_MIN ? nonce : null;
}

function wholeOf(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 ? value as number : null;
}

/** Takes lines out of what a socket gives, and what comes behind the last of them. */
export class LineReader {
  #held: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
  }

  /** The next line, or null while there is none. */
  next(): string | null {
    const end = this.#held.indexOf(NEWLINE);
    if (end < 0 || end > HANDSHAKE_LINE_BYTES_MAX) return null;
    const line = this.#held.toString("utf8", 0, end);
    this.#held = this.#held.subarray(end + 1);
    return line;
  }

  /** What is held cannot become a line; stop. */
  get isTooLong(): boolean {
    const end = this.#held.indexOf(NEWLINE);
    return (end < 0 ? this.#held.length : end) > HANDSHAKE_LINE_BYTES_MAX;
  }

  /** What came behind the lines. */
  rest(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }
}
