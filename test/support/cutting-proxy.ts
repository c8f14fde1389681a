import net from "node:net";
import { freePort } from "./ports.ts";

/** Who dials is in the first line that it says. */
const DIALER = /"from":\{"name":"([^"]*)"/;

/**
 * Stands between two nodes and can cut what goes through it: connections are refused and ended, or
 * stay and pass nothing one way or both; of all connections, or of those of one node.
 */
export class CuttingProxy {
  readonly port: number;
  /** Bytes towards the node behind, and back, are swallowed. */
  #blackholes = { there: false, back: false };
  #refuses = false;
  /** Name of the node whose connections pass nothing; empty: of none. */
  #unheard = "";
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(port: number, host: string, target: number) {
    this.port = port;
    this.#server = net.createServer((client) => {
      if (this.#refuses) {
        client.destroy();
        return;
      }
      const server = net.connect({ host, port: target });
      const dialer = { name: "" };
      this.#pass(client, server, "there", dialer);
      this.#pass(server, client, "back", dialer);
    });
  }

  static async open(host: string, target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(await freePort(), host, target);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(proxy.port, "127.0.0.1", () => resolve());
    });
    return proxy;
  }

  #pass(
    from: net.Socket, to: net.Socket, way: "there" | "back", dialer: { name: string },
  ): void {
    this.#sockets.add(from);
    from.on("data", (chunk) => {
      if (dialer.name === "") dialer.name = DIALER.exec(String(chunk))?.[1] ?? "unknown";
      const isUnheard = dialer.name === this.#unheard;
      if (!this.#blackholes[way] && !isUnheard) to.write(chunk);
    });
    from.on("error", () => to.destroy());
    from.once("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  /** Ends every connection and refuses new ones. */
  cut(): void {
    this.#refuses = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Swallows what goes one way; connections stay. */
  swallow(way: "there" | "back"): void {
    this.#blackholes[way] = true;
  }

  /** Swallows what one node says, and what is said to it on its connections. */
  swallowOf(name: string): void {
    this.#unheard = name;
  }

  /** Passes everything again; connections that lost bytes are ended. */
  heal(): void {
    this.#refuses = false;
    if (this.#blackholes.there || this.#blackholes.back || this.#unheard !== "") {
      for (const socket of this.#sockets) socket.destroy();
    }
    this.#blackholes = { there: false, back: false };
    this.#unheard = "";
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
