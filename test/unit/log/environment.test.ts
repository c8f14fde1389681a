import { statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Environment, EnvironmentFailed, storedBytes } from "../../../engine/log/environment.ts";
import { temporaryDirectory } from "../../support/log-fixture.ts";

let root: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => root.remove());

function environmentAt(name: string, durability: "process" | "disk" = "process"): Environment {
  return new Environment({ directory: join(root.path, name), durability, bytes: 1 << 20 });
}

describe("an environment", () => {
  it("has its lock file on disk before LMDB maps it, and LMDB needs no more", () => {
    const environment = environmentAt("a");
    environment.create();
    const { size, blocks } = statSync(join(environment.directory, "lock.mdb"));
    expect(size).toBe(8192);
    expect(blocks * 512).toBeGreaterThanOrEqual(8192);
    environment.close();
  });

  it("gives back what it was given, over many keys, in both durabilities", () => {
    for (const durability of ["process", "disk"] as const) {
      const environment = environmentAt(durability, durability);
      environment.create();
      for (let batch = 0; batch < 10; batch++) {
        environment.transact(() => {
          for (let key = batch * 20 + 1; key <= batch * 20 + 20; key++) {
            environment.put(key, new Uint8Array(key * 37).fill(key));
          }
        });
      }
      environment.close();
      environment.open();
      environment.transact(() => {
        expect(environment.lastKey()).toBe(200);
        expect(environment.read(201)).toBe(false);
        for (const key of [1, 77, 200]) {
          expect(environment.read(key)).toBe(true);
          expect(environment.valueBytes).toBe(key * 37);
          expect(environment.value[key * 37 - 1]).toBe(key);
        }
      });
      environment.close();
    }
  });

  it("undoes a transaction whose work throws, and stays usable", () => {
    const environment = environmentAt("a");
    environment.create();
    expect(() => environment.transact(() => {
      environment.put(1, new Uint8Array(100_000));
      throw new Error("of the caller");
    })).toThrow("of the caller");
    expect(environment.isOpen).toBe(true);
    environment.transact(() => {
      expect(environment.lastKey()).toBe(0);
      environment.put(1, new Uint8Array(3));
    });
    environment.close();
  });

  it("fails, closed, on what LMDB refuses, and opens again by itself", () => {
    const environment = environmentAt("a");
    environment.create();
    environment.transact(() => environment.put(5, new Uint8Array(1)));
    const wrongOrder = () => environment.transact(() => {
      environment.put(6, new Uint8Array(1));
      environment.put(5, Buffer.from("appended out of order"));
    });
    // LMDB_KEYEXIST is swallowed by lmdb-js; the earlier key must not be overwritten.
    wrongOrder();
    environment.transact(() => {
      environment.read(5);
      expect(environment.valueBytes).toBe(1);
    });
    environment.close();
    const missing = environmentAt("b");
    expect(() => environmentAt("missing/deep").create()).toThrow(EnvironmentFailed);
    missing.create();
    expect(() => environmentAt("b").create()).toThrow(EnvironmentFailed);
    missing.close();
  });

  it("estimates its size within a page a value", () => {
    const environment = environmentAt("a");
    environment.create();
    const empty = environment.fileBytes();
    let estimate = 0;
    let key = 0;
    for (const bytes of [10, 500, 3000, 4064, 4090, 60_000, 400_000]) {
      environment.transact(() => {
        for (let count = 0; count < 40; count++) {
          environment.put(++key, new Uint8Array(bytes));
          estimate += storedBytes(bytes);
        }
      });
    }
    const measured = environment.fileBytes() - empty;
    expect(Math.abs(measured - estimate) / measured).toBeLessThan(0.1);
    environment.close();
  });

  it("leaves nothing of closed environments in lmdb", async () => {
    const lmdb = await import("lmdb") as unknown as { allDbs: Map<string, unknown> };
    const before = lmdb.allDbs.size;
    for (let round = 0; round < 3; round++) {
      const environment = environmentAt(`round-${round}`);
      environment.create();
      environment.close();
    }
    expect(lmdb.allDbs.size).toBe(before);
  });
});
