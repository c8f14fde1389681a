// Which web pages may send spans from a browser. Source: Fetch standard, "CORS protocol".
//
// An entry is an origin ("https://shop.example"), an origin with one `*` in it that stands for
// anything ("https://*.shop.example"), or "*" for every page. Letter case does not matter.
//
// A page of another origin is refused, where others (the OpenTelemetry Collector) take its spans
// and only keep the answer from it: a browser sends simple requests without asking first.

import type { RequestHeaders } from "./request-headers.ts";
import { bareReply, type Reply } from "./reply.ts";

/** Browsers keep what they were told this long at most; theirs is lower in places. */
const MAX_AGE_SECONDS = "7200";
/** Names that a page asks for are sent back: no more than any exporter could need. */
const ASKED_HEADERS_CHARACTERS_MAX = 1_024;
const HEADER_NAMES = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;

const ANY_ORIGIN = "*";

/** Of an entry with a star: what comes before and after it. */
interface Pattern {
  readonly start: string;
  readonly end: string;
}

/** The origins of a listener. */
export class AllowedOrigins {
  private readonly any: boolean;
  private readonly exact: ReadonlySet<string>;
  private readonly patterns: readonly Pattern[];

  /** @param entries as in the settings, at most one star each. */
  constructor(entries: readonly string[]) {
    const lower = entries.map((entry) => entry.toLowerCase());
    this.any = lower.includes(ANY_ORIGIN);
    this.exact = new Set(lower.filter((entry) => !entry.includes("*")));
    this.patterns = lower.filter((entry) => entry.includes("*")).map((entry) => {
      const starAt = entry.indexOf("*");
      return { start: entry.slice(0, starAt), end: entry.slice(starAt + 1) };
    });
  }

  /** Value of Access-Control-Allow-Origin for a page of this origin; "" when it is not allowed. */
  allow(origin: string): string {
    if (this.any) return ANY_ORIGIN;
    const lower = origin.toLowerCase();
    if (this.exact.has(lower)) return origin;
    for (const { start, end } of this.patterns) {
      if (lower.length <= start.length + end.length) continue; // a star is not nothing
      if (lower.startsWith(start) && lower.endsWith(end)) return origin;
    }
    return "";
  }
}

/** True for the request that a browser sends before the one that a page wants to send. */
export function isPreflight(method: string, headers: RequestHeaders): boolean {
  return method === "OPTIONS" && headers.origin !== "" && headers.askedMethod !== "";
}

/** The answer to a preflight from an allowed origin, without Access-Control-Allow-Origin. */
export function preflightReply(method: string, headers: RequestHeaders): Reply {
  const { askedHeaders } = headers;
  const echoed = askedHeaders.length <= ASKED_HEADERS_CHARACTERS_MAX
    && HEADER_NAMES.test(askedHeaders);
  return bareReply(204, {
    headers: [
      "Access-Control-Allow-Methods", method,
      ...(echoed ? ["Access-Control-Allow-Headers", askedHeaders] : []),
      "Access-Control-Max-Age", MAX_AGE_SECONDS,
    ],
  });
}
