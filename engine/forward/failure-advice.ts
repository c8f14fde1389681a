// What an operator can do about a failed attempt: by status or system code first, by kind else.

import {
  FAILURE_CONNECT, FAILURE_REDIRECT, FAILURE_REFUSED, FAILURE_RESET, FAILURE_SERVER,
  FAILURE_STORAGE, FAILURE_THROTTLED, FAILURE_TIMEOUT, FAILURE_UNAVAILABLE, type Outcome,
} from "./destination.ts";

const NO_NAME = "the host name of URL has no address: correct it, or look at DNS";
const UNREACHABLE = "the backend cannot be reached: look at network, firewall and URL";
const UNTRUSTED = "the backend's certificate is not trusted: have it renewed, or start the gateway"
  + " with NODE_EXTRA_CA_CERTS naming the certificate (PEM) of who signed it";
const WRONG_NAME = "the backend's certificate is for another host name: write that name in URL";
const NO_TLS = "the backend does not speak TLS at this port: write http://, or the right port";
const TOKEN = "the backend refused the access token: correct DefaultAuthToken, the variable that"
  + " AuthTokenEnvVar names, or SIGNALFX_ACCESS_TOKEN; AuthTokenHeader says where it is sent";
const FULL = "the disk of Path is full: free space; what waits is kept until then";
const NOT_WRITABLE = "Path cannot be written: give this user the right to, or choose another";

const BY_CODE: Readonly<Record<string, string>> = {
  "400": "the backend could not read the batch: the answer says why",
  "401": TOKEN,
  "403": TOKEN,
  "404": "nothing is served at URL: correct its path, which for most backends is /v1/traces",
  "405": "nothing takes spans at URL: correct its path, which for most backends is /v1/traces",
  "413": "the batch is too large for the backend: lower BatchBytes, or raise the backend's limit",
  "415": "the backend does not take this format: correct the forwarder's Type or the URL",
  ECONNREFUSED: "nothing listens at URL: start the backend, or correct host and port",
  ENOTFOUND: NO_NAME,
  EAI_AGAIN: NO_NAME,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  UND_ERR_CONNECT_TIMEOUT: UNREACHABLE,
  CERT_HAS_EXPIRED: UNTRUSTED,
  CERT_NOT_YET_VALID: UNTRUSTED,
  CERT_REVOKED: UNTRUSTED,
  CERT_UNTRUSTED: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID: WRONG_NAME,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: NO_TLS,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EACCES: NOT_WRITABLE,
  EPERM: NOT_WRITABLE,
  EROFS: NOT_WRITABLE,
  ENOTDIR: NOT_WRITABLE,
};

const BY_FAILURE: Readonly<Record<number, string>> = {
  [FAILURE_CONNECT]: UNREACHABLE,
  [FAILURE_TIMEOUT]: "the backend is too slow: look at it, or raise Timeout",
  [FAILURE_RESET]: "the backend cut the connection: look at its log, or at what lies between",
  [FAILURE_THROTTLED]: "the backend takes no more for now: keep fewer traces, or raise its limit",
  [FAILURE_UNAVAILABLE]: "the backend, or what stands before it, is out of service: look at it",
  [FAILURE_SERVER]: "the backend failed: look at its log",
  [FAILURE_REFUSED]: "the backend refused the batch: the answer says why",
  [FAILURE_REDIRECT]: "the backend redirects, which is not followed: write the new address in URL",
  [FAILURE_STORAGE]: "the disk of Path refused: the answer says why",
};

/** One sentence: what is probably wrong and what to do. */
export function adviceFor(outcome: Outcome): string {
  return BY_CODE[outcome.code ?? ""] ?? BY_FAILURE[outcome.failure] ?? "the answer says why";
}
