import net from "node:net";

// Below the range from which Linux takes the ports of outgoing connections (32768 upwards): while a
// test's server is down, a client that tries again and again could be given the very port it calls,
// be connected to itself, and keep the server from coming back.
const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
/** Test files that run at the same time take from ranges of their own. */
const WORKERS = 4;
const WORKER_PORTS = Math.floor((PORT_MAX - PORT_MIN) / WORKERS);
const FIRST_PORT = PORT_MIN + (Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS) * WORKER_PORTS;
const TRIES_MAX = 200;

const given = new Set<number>();

/** A port of 127.0.0.1 that was free a moment ago, and is given to nobody else in this process. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * WORKER_PORTS);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port in ${TRIES_MAX} tries`);
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
