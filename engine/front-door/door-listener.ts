// A listener as requests meet it: its routes, who may send, and what its answers carry.

import { assert } from "../base/assert.ts";
import { AccessTokens } from "./access-tokens.ts";
import { AllowedOrigins } from "./allowed-origins.ts";
import type { ListenerOptions } from "./front-door.ts";
import { formatOf, type Route } from "./routes.ts";
import { TlsFiles } from "./tls-files.ts";

const NO_HEADERS: readonly string[] = [];

/** One of a door's listeners. @throws GatewayError CONFIG_INVALID when its TLS files are no use. */
export class DoorListener {
  readonly options: ListenerOptions;
  /** Its place among the door's listeners: index of its metrics. */
  readonly number: number;
  readonly routes: ReadonlyMap<string, Route>;
  /** Null: pages of browsers get no special treatment. */
  readonly origins: AllowedOrigins | null;
  /** Null: everybody may send. */
  readonly tokens: AccessTokens | null;
  /** Null: plain HTTP. */
  readonly tls: TlsFiles | null;
  /** On every answer: name, value, … */
  readonly headers: readonly string[];
  private readonly formats: ReadonlyMap<string, number>;
  private readonly defaultFormat: number;

  constructor(options: ListenerOptions, number: number) {
    const { routes, allowedOrigins = [], acceptTokens = [], gatewayName = "" } = options;
    this.options = options;
    this.number = number;
    this.routes = new Map(routes.map((route) => [route.path, route]));
    this.origins = allowedOrigins.length === 0 ? null : new AllowedOrigins(allowedOrigins);
    this.tokens = acceptTokens.length === 0 ? null : new AccessTokens(acceptTokens);
    this.tls = options.tls === undefined ? null : new TlsFiles(options.name, options.tls);
    this.headers = gatewayName === "" ? NO_HEADERS : ["X-Gateway-Name", gatewayName];
    this.formats = new Map(routes.flatMap((route) => [...route.formats]));
    const [first] = this.formats.values();
    assert(first !== undefined, "a listener takes a format");
    this.defaultFormat = first;
  }

  /** FORMAT_ in whose style a request is answered that is refused before its body. */
  styleFor(contentType: string): number {
    return formatOf(this.formats, contentType) ?? this.defaultFormat;
  }
}
