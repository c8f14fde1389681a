// Who may send: the access tokens of a listener. Only digests are kept, and they are compared in
// constant time: how long a refusal takes says nothing about the tokens there are.

import { createHash, timingSafeEqual } from "node:crypto";
import { assert } from "../base/assert.ts";
import type { RequestHeaders } from "./request-headers.ts";

const BEARER = "bearer ";

/** The tokens of a listener, at least one. */
export class AccessTokens {
  private readonly digests: readonly Buffer[];

  constructor(tokens: readonly string[]) {
    assert(tokens.length > 0, "a listener that asks for tokens knows some");
    this.digests = tokens.map(digest);
  }

  /** True when X-SF-Token or Authorization: Bearer carries a known token. */
  accept(headers: RequestHeaders): boolean {
    return this.has(headers.accessToken) || this.has(bearerToken(headers.authorization));
  }

  private has(token: string): boolean {
    if (token === "") return false;
    const presented = digest(token);
    let found = false;
    // All of them, whichever fits.
    for (const known of this.digests) if (timingSafeEqual(known, presented)) found = true;
    return found;
  }
}

/** The token of an Authorization header, "" for another scheme. Source: RFC 6750, 2.1. */
function bearerToken(authorization: string): string {
  if (authorization.slice(0, BEARER.length).toLowerCase() !== BEARER) return "";
  return authorization.slice(BEARER.length).trim();
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
