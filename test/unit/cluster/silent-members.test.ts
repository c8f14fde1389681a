import { describe, expect, it } from "vitest";
import { planRemoval, type RemovalInput } from "../../../engine/cluster/silent-members.ts";
import type { MapMember } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const MEMBERS = NAMES.map((name) => mapMember(name));

/** As "a" sees a map of `count`. Times of the silent ones in seconds. */
function input(
  count: number, silent: Readonly<Record<string, number>>, connected: string,
  gone = "",
): RemovalInput {
  const members = MEMBERS.slice(0, count);
  return {
    members, self: members[0]!,
    silent: MEMBERS.filter(({ name }) => silent[name] !== undefined)
      .map((member) => ({ member, silentMs: silent[member.name]! * 1_000 })),
    isRegistered: ({ name }) => !gone.includes(name),
    isConnected: ({ name }) => connected.includes(name),
  };
}

function whoGoes(from: RemovalInput): string {
  const plan = planRemoval(from);
  return typeof plan === "string" ? plan : plan.member.name;
}

describe("of silent members", () => {
  it("nobody goes when there is none, or none of them is in the map", () => {
    expect(whoGoes(input(3, {}, "bc"))).toBe("nobody");
    expect(whoGoes(input(3, { d: 40 }, "bc"))).toBe("nobody");
  });

  it("goes the one that has been silent for longest", () => {
    expect(whoGoes(input(3, { c: 31 }, "b"))).toBe("c");
    expect(whoGoes(input(5, { b: 31, d: 45 }, "ce"))).toBe("d");
  });

  it("nobody goes in a map of two", () => {
    expect(whoGoes(input(2, { b: 100 }, ""))).toBe("pair");
    expect(whoGoes(input(2, { b: 100 }, "b"))).toBe("pair");
  });

  it.each([
    ["of three, one heard", 3, { c: 31 }, "b", "c"],
    ["of three, none heard", 3, { c: 31 }, "", "minority"],
    ["of three, both silent", 3, { b: 31, c: 31 }, "bc", "minority"],
    ["of four, one heard", 4, { d: 31 }, "b", "minority"],
    ["of four, two heard", 4, { d: 31 }, "bc", "d"],
    ["of five, one heard", 5, { e: 31 }, "b", "minority"],
    ["of five, two heard", 5, { e: 31 }, "bc", "e"],
  ])("a node without a majority takes nobody out: %s", (_, count, silent, connected, expected) => {
    expect(whoGoes(input(count, silent, connected))).toBe(expected);
  });

  it("those that are silent are not heard, even when they are connected", () => {
    expect(whoGoes(input(5, { c: 31, d: 31, e: 32 }, "bcde"))).toBe("minority");
    expect(whoGoes(input(5, { d: 31, e: 32 }, "bcde"))).toBe("e");
  });

  it("nobody goes while another member is not registered, and that one is not heard", () => {
    expect(whoGoes(input(5, { e: 31 }, "bcd", "d"))).toBe("another is going");
    expect(whoGoes(input(4, { d: 31 }, "bc", "c"))).toBe("minority");
  });

  it("one that is not registered any more goes by itself", () => {
    expect(whoGoes(input(3, { c: 31 }, "b", "c"))).toBe("nobody");
    expect(whoGoes(input(2, { b: 31 }, "", "b"))).toBe("nobody");
  });

  it("a member is known by its process: another list of members is as good", () => {
    const copies: MapMember[] = MEMBERS.slice(0, 3).map((member) => ({ ...member }));
    expect(whoGoes({ ...input(3, { c: 31 }, "b"), members: copies, self: copies[0]! })).toBe("c");
    const restarted = copies.map((member) => member.name === "c"
      ? { ...member, incarnation: "second-of-c" } : member);
    expect(whoGoes({ ...input(3, { c: 31 }, "b"), members: restarted })).toBe("nobody");
  });
});
