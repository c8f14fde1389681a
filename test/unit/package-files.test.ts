import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parsePolicies } from "../../engine/sampling/policy-config.ts";
import { loadFile, settingsOf, warningsOf } from "./config/load-input.ts";

interface LockEntry {
  readonly name?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly os?: readonly string[];
  readonly inBundle?: boolean;
  readonly resolved?: string;
}
const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Record<string, LockEntry>;
};
const carried = Object.entries(packages).filter(([path, { dev }]) => path !== "" && dev !== true);

describe("package-lock.json", () => {
  it("names no place from which packages come", () => {
    for (const [path, { resolved }] of Object.entries(packages)) {
      expect(resolved, path).toBeUndefined();
    }
    expect(readFileSync("package-lock.json", "utf8")).not.toMatch(/https?:[^"]*registry/);
  });

  it("has every package that runs in the tarball", () => {
    expect(carried.filter(([, { inBundle }]) => inBundle !== true)).toEqual([]);
    const { dependencies, bundleDependencies } = JSON.parse(
      readFileSync("package.json", "utf8")) as {
      dependencies: Record<string, string>; bundleDependencies: string[];
    };
    expect(bundleDependencies.toSorted()).toEqual(Object.keys(dependencies).sort());
  });
});

describe("NOTICE", () => {
  it("names every package that is carried along under its licence, and no other", () => {
    const wanted = new Map<string, Set<string>>();
    for (const [path, { name, license = "unknown", os }] of carried) {
      if (os !== undefined) continue; // binaries of one system, named with their parents
      const names = wanted.get(license) ?? new Set();
      wanted.set(license, names.add(name ?? path.replace(/.*node_modules\//, "")));
    }
    const found = new Map<string, Set<string>>();
    const text = readFileSync("NOTICE", "utf8");
    for (const [, license = "", names = ""] of text.matchAll(/^(\S+)\n((?: {2}\S.*,?\n)+)\n/gm)) {
      found.set(license, new Set(names.trim().split(/,\s+/)));
    }
    expect(found).toEqual(wanted);
  });
});

describe("configurations of a service and of a container", () => {
  const validatePolicies = (value: unknown, path: string) => parsePolicies(value, path).problems;
  const settings = (file: string) => {
    const result = loadFile(readFileSync(file, "utf8"), { validatePolicies });
    expect(warningsOf(result)).toEqual([]);
    return settingsOf(result);
  };

  it("load without a warning and differ in their addresses alone", () => {
    const service = settings("config/examples/service.conf");
    const container = settings("config/container/gateway.conf");
    expect(container.forwardTo).toEqual(service.forwardTo);
    expect(container.dataDirectory).toBe("/var/lib/tailrace/data");
    expect(container.dataDirectory).toBe(service.dataDirectory);
    const ports = ({ listenFrom, adminAddress }: typeof service): number[] =>
      [...listenFrom.map(({ address }) => address.port), adminAddress.port];
    expect(ports(container)).toEqual(ports(service));
    for (const { address } of service.listenFrom) expect(address.host).toBe("127.0.0.1");
  });
});
