// The store's answers to what a server does that real ones do rarely: the library's calls are
// replaced.

import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EtcdLeaseInvalidError, GRPCInternalError, GRPCUnavailableError } from "etcd3";
import { EtcdClient } from "../../../engine/cluster/etcd-client.ts";
import { EtcdStore } from "../../../engine/cluster/etcd-store.ts";
import { until } from "../../support/until.ts";

/** A stream of the library, with what was written to it. */
class FakeStream extends EventEmitter {
  readonly written: Record<string, Record<string, unknown>>[] = [];
  isCancelled = false;

  write(message: Record<string, Record<string, unknown>>): void {
    this.written.push(message);
    this.emit("written");
  }

  cancel(): void {
    this.isCancelled = true;
    this.emit("error", new Error("1 CANCELLED"));
  }

  end(): void {}
}

type Exec = (service: string, method: string, payload: unknown) => Promise<unknown>;

let client: EtcdClient;
let store: EtcdStore;
let streams: FakeStream[];
let onStream: (stream: FakeStream) => void;
let exec: Exec;

function replaceCalls(): void {
  client.etcd.mock({
    callOptionsFactory: undefined,
    exec: (service: string, method: string, payload: unknown) => exec(service, method, payload),
    withConnection: async (_service: unknown, run: (to: unknown) => unknown) => {
      const open = (): FakeStream => {
        const stream = new FakeStream();
        streams.push(stream);
        onStream(stream);
        return stream;
      };
      return run({ resource: null, metadata: null, client: { leaseKeepAlive: open, watch: open } });
    },
    markFailed: () => {},
  } as unknown as Parameters<typeof client.etcd.mock>[0]);
}

function answer(term: string, kvs: unknown[] = []): unknown {
  const responses = [{ response_range: { kvs } }, { response_range: { kvs } }];
  return { header: { raft_term: term, revision: "7" }, kvs, responses };
}

beforeEach(() => {
  client = new EtcdClient({
    endpoints: ["http://127.0.0.1:1"], credentials: null, callTimeoutMs: 60,
  });
  store = new EtcdStore(client);
  streams = [];
  onStream = () => {};
  exec = async () => answer("5");
  replaceCalls();
});
afterEach(() => client.close());

describe("a keepalive", () => {
  const acknowledge = (term: string, ttl: string) => (stream: FakeStream): void => {
    stream.on("written", () => stream.emit("data", { header: { raft_term: term }, TTL: ttl }));
  };

  it("counts when the leader that took it still leads afterwards", async () => {
    onStream = acknowledge("5", "10");
    expect(await store.renewLease("1", "/map", "/own")).toEqual(
      { held: true, ttlMs: 10_000, confirmed: null, own: null });
    expect(streams[0]!.written).toEqual([{ ID: "1" }]);
    expect(streams[0]!.isCancelled).toBe(true);
  });

  it("does not count when another leader was elected meanwhile", async () => {
    onStream = acknowledge("4", "10");
    await expect(store.renewLease("1", "/map", "/own")).rejects.toMatchObject(
      { code: "CLUSTER_STORE_UNAVAILABLE" });
  });

  it("does not count when nobody confirms it", async () => {
    onStream = acknowledge("5", "10");
    exec = () => Promise.reject(new GRPCUnavailableError("no leader"));
    await expect(store.renewLease("1", "/map", "/own")).rejects.toMatchObject(
      { code: "CLUSTER_STORE_UNAVAILABLE" });
  });

  it("of a lease that is gone says so", async () => {
    onStream = acknowledge("5", "0");
    expect(await store.renewLease("1", "/map", "/own")).toEqual(
      { held: false, ttlMs: 0, confirmed: null, own: null });
  });

  it.each<[string, (stream: FakeStream) => void]>([
    ["says nothing", () => {}],
    ["ends the stream", (stream) => stream.on("written", () => stream.emit("end"))],
    ["breaks the stream",
      (stream) => stream.on("written", () => stream.emit("error", new Error("reset")))],
  ])("is unanswered within its time when the server %s", async (_, react) => {
    onStream = react;
    const startedMs = performance.now();
    await expect(store.renewLease("1", "/map", "/own")).rejects.toMatchObject(
      { code: "CLUSTER_STORE_UNAVAILABLE" });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});

describe("a call", () => {
  it("that never ends is given up", async () => {
    exec = () => new Promise(() => {});
    const startedMs = performance.now();
    await expect(store.get("/a")).rejects.toMatchObject({ code: "CLUSTER_STORE_UNAVAILABLE" });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  it.each<[string, Error, string]>([
    ["of the network", new GRPCUnavailableError("x"), "CLUSTER_STORE_UNAVAILABLE"],
    ["inside the server", new GRPCInternalError("x"), "CLUSTER_STORE_UNAVAILABLE"],
    ["of an open circuit breaker", Object.assign(new Error("x"), { isBrokenCircuitError: true }),
      "CLUSTER_STORE_UNAVAILABLE"],
    ["of a lease that ended", new EtcdLeaseInvalidError("1"), "CLUSTER_LEASE_GONE"],
  ])("with a fault %s says what kind it is", async (_, error, code) => {
    exec = () => Promise.reject(error);
    await expect(store.compareAndSet("/a", 0, "x", "1")).rejects.toMatchObject({ code });
  });

  it("with any other fault throws that", async () => {
    exec = () => Promise.reject(new TypeError("a bug"));
    await expect(store.get("/a")).rejects.toThrow(TypeError);
  });

  it("after the end is refused", async () => {
    client.close();
    await expect(store.get("/a")).rejects.toMatchObject({ code: "CLUSTER_STORE_UNAVAILABLE" });
  });
});

describe("a watch", () => {
  const header = { revision: "100" };
  const put = (revision: number) => ({
    type: "Put", kv: { key: Buffer.from("/a/k"), value: Buffer.from(String(revision)),
      mod_revision: String(revision) },
  });
  const data = (events: unknown[], more: object = {}) => ({
    header, created: false, canceled: false, compact_revision: "0", events, ...more,
  });
  const startOf = (stream: FakeStream): unknown =>
    stream.written[0]!["create_request"]!["start_revision"];

  it("goes on behind the last event after every fault, and tells each once", async () => {
    const seen: number[] = [];
    const watch = store.watch("/a/", 10, {
      events: (events) => seen.push(...events.map(({ revision }) => revision)),
      gap: () => seen.push(-1),
    });
    await until(() => streams[0]?.written.length === 1, "it is opened");
    expect(startOf(streams[0]!)).toBe(11);
    streams[0]!.emit("data", data([], { created: true }));
    streams[0]!.emit("data", data([put(12), put(15)]));
    streams[0]!.emit("error", new Error("reset"));
    streams[0]!.emit("data", data([put(16)])); // of a stream that was given up
    await until(() => streams[1]?.written.length === 1, "it is opened again");
    expect(startOf(streams[1]!)).toBe(16);
    streams[1]!.emit("data", data([put(16)]));
    streams[1]!.emit("data", data([])); // a sign of life, at revision 100
    streams[1]!.emit("end");
    await until(() => streams[2]?.written.length === 1, "it is opened a third time");
    expect(startOf(streams[2]!)).toBe(101);
    watch.close();
    streams[2]!.emit("data", data([put(102)]));
    expect(streams[2]!.isCancelled).toBe(true);
    expect(seen).toEqual([12, 15, 16]);
  });

  it("says that there is a gap when its history was compacted, and is over", async () => {
    const told: string[] = [];
    store.watch("/a/", 1, { events: () => told.push("events"), gap: () => told.push("gap") });
    await until(() => streams[0]?.written.length === 1, "it is opened");
    streams[0]!.emit("data", data([], { canceled: true, created: true, compact_revision: "50" }));
    streams[0]!.emit("data", data([put(60)]));
    expect(told).toEqual(["gap"]);
    expect(streams[0]!.isCancelled).toBe(true);
  });

  it("is opened again when the server cancels it for another reason", async () => {
    const watch = store.watch("/a/", 1, { events: () => {}, gap: () => {} });
    await until(() => streams[0]?.written.length === 1, "it is opened");
    streams[0]!.emit("data", data([], { created: true })); // nothing has been handed over yet
    streams[0]!.emit("data", data([], { canceled: true }));
    await until(() => streams[1]?.written.length === 1, "it is opened again");
    expect(startOf(streams[1]!)).toBe(2);
    watch.close();
  });

  it("moves to other servers when they change", async () => {
    const watch = store.watch("/a/", 1, { events: () => {}, gap: () => {} });
    await until(() => streams[0]?.written.length === 1, "it is opened");
    client.setEndpoints(["http://127.0.0.1:2"]);
    replaceCalls();
    await until(() => streams[1]?.written.length === 1, "it is opened there");
    expect(streams[0]!.isCancelled).toBe(true);
    client.setEndpoints(["http://127.0.0.1:2"]);
    client.setEndpoints([]);
    expect(client.endpoints).toEqual(["http://127.0.0.1:2"]);
    watch.close();
    expect(streams).toHaveLength(2);
  });

  it("opens nothing after it was closed while it was opening", async () => {
    const watch = store.watch("/a/", 1, { events: () => {}, gap: () => {} });
    watch.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(streams).toHaveLength(0);
  });
});
