import { describe, expect, it } from "vitest";
import { readCommandLine } from "../../../config/command-line.ts";
import { load } from "../../../config/load.ts";
import { inputWith, problemOf, settingsOf } from "./load-input.ts";

const CONFIG = "{ \"ServerName\": \"filed\" }";

describe("flags", () => {
  it.each([
    [["--configfile", "f"]], [["-configfile", "f"]], [["-configfile=f"]], [["--configfile=f"]],
  ])("take one dash or two, and a value after a space or =: %j", (argv) => {
    expect(readCommandLine(argv))
      .toEqual({ kind: "run", configFile: "f", clusterOperation: null });
  });

  it("tell an empty cluster operation from none", () => {
    expect(readCommandLine(["-cluster-op", ""])).toMatchObject({ clusterOperation: "" });
    expect(readCommandLine(["--cluster-op="])).toMatchObject({ clusterOperation: "" });
  });

  it.each([
    [["--configfil", "f"], "unknown flag --configfil; did you mean --configfile?"],
    [["-zzz=1"], "unknown flag --zzz=1"],
    [["--configfile"], "configfile"],
    [["stray"], "stray"],
  ])("refuse %j with the usage and nothing else", (argv, sentence) => {
    const result = load(inputWith({}, { argv }));
    expect(problemOf(result).message).toContain(sentence);
    expect(result.kind === "refused" && result.text).toContain("Usage: tailrace");
  });

  it("print version and build date, a line each", () => {
    expect(load(inputWith({}, { argv: ["-version"] })))
      .toEqual({ kind: "print", text: "1.2.3\n2030-01-02\n" });
  });

  it("print a help that fits a terminal and tells defaults, signals, exit codes, variables", () => {
    for (const argv of [["--help"], ["-help"], ["-h"]]) {
      const result = load(inputWith({}, { argv }));
      const text = result.kind === "print" ? result.text : "";
      for (const part of [
        "Usage:", "4318", "SIGTERM", "Exit codes", "TAILRACE_WORKERS", "SFX_SERVER_NAME",
      ]) {
        expect(text).toContain(part);
      }
      expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    }
  });
});

describe("cluster operation", () => {
  it.each([
    ["seed", "seed"], ["join", "join"], ["client", "client"], ["new", "seed"],
    ["existing", "join"],
  ])("%s makes the node part of a cluster", (value, operation) => {
    const env = { SFX_TARGET_CLUSTER_ADDRESSES: "10.0.0.1:2379, 10.0.0.2:2379" };
    const { cluster } = settingsOf(load(inputWith({}, { env, argv: ["--cluster-op", value] })));
    expect(cluster?.targetClusterAddresses).toEqual(["10.0.0.1:2379", "10.0.0.2:2379"]);
    expect(cluster?.operation).toBe(operation);
  });

  it("refuses what the original did not know, with its sentence", () => {
    const env = { SFX_CLUSTER_OPERATION: "sprout" };
    const { path, message } = problemOf(load(inputWith({}, { env })));
    expect(path).toBe("SFX_CLUSTER_OPERATION");
    expect(message).toContain("unsupported cluster-op specified \"sprout\"");
  });

  it("is overridden by the flag, even by an empty one", () => {
    const env = { SFX_CLUSTER_OPERATION: "seed" };
    expect(settingsOf(load(inputWith({}, { env, argv: ["-cluster-op", ""] }))).cluster).toBeNull();
    expect(settingsOf(load(inputWith({}, { env }))).cluster?.operation).toBe("seed");
  });
});

describe("the file that is read", () => {
  it("is found in the XDG directories first, then in the working directory", () => {
    const places: [string, Record<string, string | undefined>][] = [
      ["/x/sf/gateway.conf", { XDG_CONFIG_HOME: "/x", HOME: "/h" }],
      ["/h/.config/sf/gateway.conf", { HOME: "/h" }],
      ["/etc/xdg/sf/gateway.conf", {}],
      ["/b/sf/gateway.conf", { XDG_CONFIG_DIRS: "/a:/b" }],
      ["/srv/sf/gateway.conf", { HOME: "/h" }],
    ];
    for (const [file, env] of places) {
      const result = load(inputWith({ [file]: CONFIG, "/srv/sf/gateway.conf": CONFIG }, { env }));
      expect(result).toMatchObject({ kind: "run", source: file });
      expect(settingsOf(result).serverName).toBe("filed");
    }
  });

  it("is only itself when its path begins with a dot or a slash", () => {
    const files = { "/home/user/.config/g.conf": "{", "/srv/g.conf": CONFIG };
    for (const name of ["./g.conf", "/srv/g.conf"]) {
      settingsOf(load(inputWith(files, { argv: ["--configfile", name] })));
    }
  });

  it("must exist when it is named", () => {
    const { path, message } = problemOf(load(inputWith({}, { argv: ["--configfile", "g.conf"] })));
    expect(path).toBe("--configfile");
    expect(message).toBe("there is no file g.conf; looked for /home/user/.config/g.conf, "
      + "/etc/xdg/g.conf, /srv/g.conf");
  });

  it("must be readable wherever it is", () => {
    const readFile = (): string => {
      throw Object.assign(new Error("denied"), { code: "EACCES" });
    };
    expect(problemOf(load(inputWith({}, { readFile }))).message).toContain("(EACCES)");
  });
});
