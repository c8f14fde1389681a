// The headers that decide about a request, collected in one walk over all of them.

/** No Content-Length. */
export const LENGTH_NONE = -1;
/** Content-Length is not a decimal number. */
export const LENGTH_INVALID = -2;
/** Two Content-Length headers that differ: a proxy in front may have read the other one. */
export const LENGTH_CONFLICTING = -3;

/** Digits of a Content-Length that is still an exact number; longer ones are too large anyway. */
const LENGTH_DIGITS_MAX = 15;
const CODE_0 = 48;
const CODE_9 = 57;

/** Headers of one request. One object serves all requests of a door: reset, then add each. */
export class RequestHeaders {
  contentType = "";
  contentEncoding = "";
  transferEncoding = "";
  /** Bytes, or one of the LENGTH_ codes. */
  contentLength = LENGTH_NONE;

  reset(): void {
    this.contentType = "";
    this.contentEncoding = "";
    this.transferEncoding = "";
    this.contentLength = LENGTH_NONE;
  }

  /** @param name in lower case. */
  add(name: string, value: string): void {
    if (name === "content-type") {
      this.contentType = value;
    } else if (name === "content-encoding") {
      this.contentEncoding = joined(this.contentEncoding, value);
    } else if (name === "transfer-encoding") {
      this.transferEncoding = joined(this.transferEncoding, value);
    } else if (name === "content-length") {
      const length = parseLength(value);
      const first = this.contentLength === LENGTH_NONE;
      this.contentLength = first || this.contentLength === length ? length : LENGTH_CONFLICTING;
    }
  }

  /** False when nothing follows the headers. */
  hasBody(): boolean {
    return this.transferEncoding !== "" || this.contentLength > 0;
  }
}

/** Repeated list headers mean one list. Source: RFC 9110, 5.3. */
function joined(before: string, value: string): string {
  return before === "" ? value : `${before}, ${value}`;
}

function parseLength(value: string): number {
  if (value.length === 0) return LENGTH_INVALID;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code < CODE_0 || code > CODE_9) return LENGTH_INVALID;
  }
  return value.length > LENGTH_DIGITS_MAX ? Number.MAX_SAFE_INTEGER : Number(value);
}
