import { describe, expect, it } from "vitest";
import { LinkSessions } from "../../../engine/cluster/link-sessions.ts";

describe("connections are sessions", () => {
  const told: string[] = [];
  const sessions = new LinkSessions({
    up: (node, stream) => told.push(`up ${node} ${stream}`),
    down: (node, stream) => told.push(`down ${node} ${stream}`),
  });
  const since = (): string[] => told.splice(0);

  it("from when the node is a member on, all that are up at once", () => {
    sessions.linked(1, 0, true);
    sessions.linked(1, 1, true);
    sessions.linked(7, 1, true);
    sessions.linked(1, 1, false);
    expect(since()).toEqual([]);
    sessions.setMember(true);
    expect(since()).toEqual(["up 1 0", "up 7 1"]);
    sessions.setMember(true);
    expect(since()).toEqual([]);
  });

  it("as they come and go while it is one", () => {
    sessions.linked(1, 1, true);
    sessions.linked(1, 0, false);
    expect(since()).toEqual(["up 1 1", "down 1 0"]);
  });

  it("until it is not any more, and anew when it is back", () => {
    sessions.setMember(false);
    expect(since()).toEqual(["down 7 1", "down 1 1"]);
    sessions.linked(7, 1, false);
    expect(since()).toEqual([]);
    sessions.setMember(true);
    expect(since()).toEqual(["up 1 1"]);
  });
});
