// Addresses of a cluster as the original takes them: host:port, or the same behind http:// or
// https://. What other nodes can do with them.

/** Parts of an address; an IPv6 host stays in brackets. */
export interface NodeAddress {
  readonly host: string;
  /** Null when none is written. */
  readonly port: number | null;
  readonly hasScheme: boolean;
}

const ADDRESS = /^(https?:\/\/)?(\[[0-9a-f:.]+\]|[^:[\]\s/,?#@]*)(?::(\d{1,5}))?$/i;
const PORT_MAX = 65_535;
/** What a machine listens on to be reached at every address it has. */
const WILDCARDS: readonly string[] = ["", "0.0.0.0", "[::]"];
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/;
const IP = /^(?:\d+\.\d+\.\d+\.\d+|\[.+\])$/;

/** Null when the text is no address. */
export function readNodeAddress(text: string): NodeAddress | null {
  const match = ADDRESS.exec(text);
  const port = match?.[3] === undefined ? null : Number(match[3]);
  if (match === null || (port ?? 0) > PORT_MAX) return null;
  const host = plainHost(match[2]!); // a group that may be empty but always takes part
  return host === null ? null : { host, port, hasScheme: match[1] !== undefined };
}

/** Letters in small, and one form for each IP address: "[::0]" is "[::]". */
function plainHost(host: string): string | null {
  if (host === "") return "";
  const url = `http://${host}`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}

/** Every address of the machine: good to listen on, useless to others. */
export function isWildcard({ host }: NodeAddress): boolean {
  return WILDCARDS.includes(host);
}

/** This machine alone. */
export function isLoopback({ host }: NodeAddress): boolean {
  return LOOPBACK.test(host);
}

/** What etcd can listen at: it looks up no names but this one. */
export function isBindable({ host }: NodeAddress): boolean {
  return IP.test(host) || host === "localhost";
}

/** Whether two listeners on one machine would be in each other's way. */
export function collide(left: NodeAddress, right: NodeAddress): boolean {
  if (left.port !== right.port || left.port === 0) return false;
  return left.host === right.host || isWildcard(left) || isWildcard(right);
}
