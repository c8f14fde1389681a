import { beforeEach, describe, expect, it } from "vitest";
import { StoreMirror } from "../../../engine/cluster/store-mirror.ts";
import { MemoryCluster, MemoryStore } from "../../support/memory-store.ts";
import { until } from "../../support/until.ts";

let cluster: MemoryCluster;
let store: MemoryStore;
let told: string[];

function mirror(): StoreMirror {
  return new StoreMirror(store, "/a/", {
    changed: (key, entry) => told.push(`${key}=${entry?.value ?? "gone"}`),
    failed: (error) => told.push(String(error)),
  });
}

beforeEach(() => {
  cluster = new MemoryCluster();
  store = new MemoryStore(cluster);
  told = [];
});

describe("a mirror of keys", () => {
  it("tells what there is, then what changes, and nothing of other keys", async () => {
    cluster.write("/a/1", "one", null);
    cluster.write("/b/1", "other", null);
    const made = mirror();
    await made.start();
    cluster.write("/a/2", "two", null);
    cluster.write("/b/2", "other", null);
    cluster.write("/a/1", "uno", null);
    cluster.remove("/a/2");
    expect(told).toEqual(["/a/1=one", "/a/2=two", "/a/1=uno", "/a/2=gone"]);
    expect([...made.entries.keys()]).toEqual(["/a/1"]);
    made.close();
    cluster.write("/a/3", "three", null);
    expect(told).toHaveLength(4);
  });

  it("takes what was read on another way when the watch has not told it, once", async () => {
    cluster.write("/a/1", "one", null);
    const made = mirror();
    await made.start();
    const [watching] = cluster.watches;
    cluster.watches.clear();
    cluster.write("/a/1", "two", null);
    made.offer("/a/1", cluster.read("/a/1"));
    made.offer("/a/1", cluster.read("/a/1"));
    expect(told).toEqual(["/a/1=one", "/a/1=two"]);
    watching!.handlers.events([{ key: "/a/1", value: "two", revision: cluster.revision }]);
    expect(told).toHaveLength(2);
    made.close();
  });

  it("does not bring back what the watch has seen go", async () => {
    cluster.write("/a/1", "one", null);
    const late = cluster.read("/a/1");
    const made = mirror();
    await made.start();
    cluster.remove("/a/1");
    made.offer("/a/1", late);
    made.offer("/a/1", null);
    expect(told).toEqual(["/a/1=one", "/a/1=gone"]);
    made.close();
    made.offer("/a/1", { key: "/a/1", value: "late", revision: 1_000 });
    expect(told).toHaveLength(2);
  });

  it("lists again after a gap, and tells what went meanwhile", async () => {
    cluster.write("/a/1", "one", null);
    cluster.write("/a/2", "two", null);
    const made = mirror();
    await made.start();
    const [watching] = cluster.watches;
    cluster.watches.clear();
    cluster.remove("/a/1");
    cluster.write("/a/2", "zwei", null);
    store.isDown = true; // the first list after the gap fails
    watching!.handlers.gap();
    setTimeout(() => { store.isDown = false; }, 100);
    await until(() => told.length === 4, "both changes are told");
    expect(told.slice(2).sort()).toEqual(["/a/1=gone", "/a/2=zwei"]);
    expect(made.resyncs).toBe(1);
    cluster.write("/a/3", "three", null);
    expect(told.at(-1)).toBe("/a/3=three");
    made.close();
    expect(cluster.watches.size).toBe(0);
  });

  it("begins nothing when the first list fails, or it is closed meanwhile", async () => {
    store.isDown = true;
    const made = mirror();
    await expect(made.start()).rejects.toMatchObject({ code: "CLUSTER_STORE_UNAVAILABLE" });
    store.isDown = false;
    const started = made.start();
    made.close();
    await started;
    expect(cluster.watches.size).toBe(0);
  });
});
