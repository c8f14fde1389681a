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

// Every name that matters has a length of its own: one number tells it from nearly all others.
const CONTENT_TYPE_CHARACTERS = "content-type".length;
const CONTENT_LENGTH_CHARACTERS = "content-length".length;
const CONTENT_ENCODING_CHARACTERS = "content-encoding".length;
const TRANSFER_ENCODING_CHARACTERS = "transfer-encoding".length;
const ORIGIN_CHARACTERS = "origin".length;
const ACCESS_TOKEN_CHARACTERS = "x-sf-token".length;
const AUTHORIZATION_CHARACTERS = "authorization".length;
const ASKED_METHOD_CHARACTERS = "access-control-request-method".length;
const ASKED_HEADERS_CHARACTERS = "access-control-request-headers".length;

/** Headers of one request. One object serves all requests of an engine: reset, then add each. */
export class RequestHeaders {
  contentType = "";
  contentEncoding = "";
  transferEncoding = "";
  /** Bytes, or one of the LENGTH_ codes. */
  contentLength = LENGTH_NONE;
  /** Of the page that sends it, when a browser does. */
  origin = "";
  /** X-SF-Token. */
  accessToken = "";
  authorization = "";
  /** What a browser asks for before it sends: Access-Control-Request-Method and -Headers. */
  askedMethod = "";
  askedHeaders = "";

  reset(): void {
    this.contentType = "";
    this.contentEncoding = "";
    this.transferEncoding = "";
    this.contentLength = LENGTH_NONE;
    this.origin = "";
    this.accessToken = "";
    this.authorization = "";
    this.askedMethod = "";
    this.askedHeaders = "";
  }

  /** @param name in lower case. */
  add(name: string, value: string): void {
    switch (name.length) {
      case CONTENT_TYPE_CHARACTERS:
        if (name === "content-type") this.contentType = value;
        break;
      case CONTENT_LENGTH_CHARACTERS:
        if (name === "content-length") this.addLength(value);
        break;
      case CONTENT_ENCODING_CHARACTERS:
        if (name === "content-encoding") {
          this.contentEncoding = joined(this.contentEncoding, value);
        }
        break;
      case TRANSFER_ENCODING_CHARACTERS:
        if (name === "transfer-encoding") {
          this.transferEncoding = joined(this.transferEncoding, value);
        }
        break;
      case ORIGIN_CHARACTERS:
        if (name === "origin") this.origin = joined(this.origin, value);
        break;
      case ACCESS_TOKEN_CHARACTERS:
        if (name === "x-sf-token") this.accessToken = joined(this.accessToken, value);
        break;
      case AUTHORIZATION_CHARACTERS:
        if (name === "authorization") this.authorization = joined(this.authorization, value);
        break;
      case ASKED_METHOD_CHARACTERS:
        if (name === "access-control-request-method") this.askedMethod = value;
        break;
      case ASKED_HEADERS_CHARACTERS:
        if (name === "access-control-request-headers") {
          this.askedHeaders = joined(this.askedHeaders, value);
        }
        break;
    }
  }

  /** False when nothing follows the headers. */
  hasBody(): boolean {
    return this.transferEncoding !== "" || this.contentLength > 0;
  }

  private addLength(value: string): void {
    const length = parseLength(value);
    const first = this.contentLength === LENGTH_NONE;
    this.contentLength = first || this.contentLength === length ? length : LENGTH_CONFLICTING;
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
