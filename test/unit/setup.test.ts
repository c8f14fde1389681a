import { spawnSync } from "node:child_process";
import {
  chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** Stands for npm: writes down what it was asked, installs and builds in a word each. */
const NPM_DOUBLE = `#!/bin/sh
echo "$*" >> npm-calls
if [ -e npm-fails ]; then echo "broken" >&2; exit 9; fi
case "$1" in
  ci) mkdir -p node_modules && cp lock-record node_modules/.package-lock.json ;;
  run) rm -rf dist && mkdir dist ;;
esac
`;
const packages = (version: string) => ({
  packages: {
    "": {}, "node_modules/a": { version, integrity: "x" },
    "node_modules/b": { version: "1.0.0", optional: true },
  },
});

describe("setup", () => {
  let root = "";

  const write = (path: string, content: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  const lock = (version: string): void => {
    write("package-lock.json", JSON.stringify(packages(version)));
    const { "node_modules/a": a } = packages(version).packages;
    write("lock-record", JSON.stringify({ packages: { "node_modules/a": a } }));
  };
  const setUp = () => {
    rmSync(join(root, "npm-calls"), { force: true });
    write("npm-calls", "");
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/setup.mjs"], {
      cwd: root, encoding: "utf8", env: { PATH: `${root}/bin:/usr/bin:/bin` },
    });
    const calls = readFileSync(join(root, "npm-calls"), "utf8").split("\n").slice(0, -1);
    return { status, stdout, stderr, calls };
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "setup-"));
    write("bin/npm", NPM_DOUBLE);
    chmodSync(join(root, "bin/npm"), 0o755);
    mkdirSync(join(root, "scripts"));
    copyFileSync("scripts/setup.mjs", join(root, "scripts/setup.mjs"));
    write("package.json", "{}");
    write("tsconfig.json", "{}");
    write("engine/a/b.ts", "1");
    lock("1.0.0");
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("installs and builds a fresh checkout, a line each with its time, then does nothing", () => {
    const first = setUp();
    expect(first.calls).toEqual(["ci --include=dev", "run build"]);
    expect(first.stdout).toMatch(
      /^setup: npm ci .*missing.* \.\.\. \d+\.\d s\nsetup: npm run build .* \.\.\. \d+\.\d s\n$/,
    );
    expect(setUp()).toMatchObject({ status: 0, calls: [], stdout: "", stderr: "" });
  });

  it("builds again when a source is changed, added or removed", () => {
    setUp();
    for (const change of [
      () => write("engine/a/b.ts", "2"), () => write("engine/a/c.ts", "3"),
      () => rmSync(join(root, "engine/a/c.ts")), () => write("tsconfig.json", "{ }"),
    ]) {
      change();
      expect(setUp().calls).toEqual(["run build"]);
      expect(setUp().calls).toEqual([]);
    }
  });

  it("installs again when package-lock.json asks for something else", () => {
    setUp();
    lock("2.0.0");
    expect(setUp().calls).toEqual(["ci --include=dev", "run build"]);
  });

  it("builds again after a build that did not end, and shows what a failed step said", () => {
    setUp();
    write("engine/a/b.ts", "2");
    write("npm-fails", "");
    expect(setUp()).toMatchObject({ status: 1, stderr: "broken\nsetup: npm ended with 9\n" });
    rmSync(join(root, "npm-fails"));
    rmSync(join(root, "dist/.sources.sha256"));
    expect(setUp()).toMatchObject({ status: 0, calls: ["run build"] });
  });
});
