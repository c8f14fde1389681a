// One complete answer, independent of the HTTP engine.

import { statusIndex } from "../telemetry/label-values.ts";
import { type Content, TEXT_TYPE } from "./reply-styles.ts";
import { CLOSE_NEVER } from "./refusals.ts";

/** An answer. Those that say nothing about the one request are made once and sent many times. */
export interface Reply {
  readonly code: number;
  /** Reason phrase. */
  readonly phrase: string;
  /** Status code and reason phrase. */
  readonly status: string;
  /** Label index of the counter of answers. */
  readonly statusCounter: number;
  /** Label index of the counter of refusals; -1 when this is none. */
  readonly refusedCounter: number;
  /** "" for an answer that has no body at all. */
  readonly contentType: string;
  readonly body: Uint8Array | string;
  readonly bodyBytes: number;
  /** Further headers: name, value, name, value, … */
  readonly headers: readonly string[];
  /** A CLOSE_ code. */
  readonly close: number;
}

const PHRASES: Readonly<Record<number, string>> = {
  200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
  404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large",
  415: "Unsupported Media Type", 431: "Request Header Fields Too Large",
  500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
};
const NO_HEADERS: readonly string[] = [];

/** What a reply may say besides its content. */
export interface ReplyMore {
  readonly refusedCounter?: number;
  readonly headers?: readonly string[];
  readonly close?: number;
}

/** Reason phrase of a status code that we send. */
export function phraseOf(code: number): string {
  return PHRASES[code] ?? "";
}

export function makeReply(code: number, content: Content, more: ReplyMore = {}): Reply {
  return {
    code,
    phrase: phraseOf(code),
    status: `${code} ${phraseOf(code)}`,
    statusCounter: statusIndex(code),
    refusedCounter: more.refusedCounter ?? -1,
    contentType: content.contentType,
    body: content.body,
    bodyBytes: Buffer.byteLength(content.body),
    headers: more.headers ?? NO_HEADERS,
    close: more.close ?? CLOSE_NEVER,
  };
}

/** A reply of one line of plain text. */
export function textReply(code: number, text: string, more: ReplyMore = {}): Reply {
  return makeReply(code, { contentType: TEXT_TYPE, body: text }, more);
}

/** A reply without a body. */
export function bareReply(code: number, more: ReplyMore = {}): Reply {
  return makeReply(code, { contentType: "", body: "" }, more);
}
