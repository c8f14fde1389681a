import { describe, expect, it } from "vitest";
import type { RegisteredNode } from "../../../engine/cluster/membership.ts";
import { Registrations } from "../../../engine/cluster/registrations.ts";
import { planMap, type MapMember, type ShardMap } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";

const [A, B, C] = [mapMember("a"), mapMember("b"), mapMember("c")];

/** Maps one after the other, as they come into force. */
class Maps {
  readonly registrations = new Registrations(A);
  map: ShardMap | null = null;
  revision = 100;

  put(members: readonly MapMember[]): this {
    this.map = planMap(this.map, members);
    this.revision += 10;
    return this;
  }

  take(members: readonly MapMember[], nowMs = 0): this {
    this.put(members);
    this.registrations.takeMap(this.map!, this.revision, nowMs);
    return this;
  }
}

function registered(members: readonly MapMember[], revision = 1): RegisteredNode[] {
  return members.map((member) => ({ member, revision }));
}

describe("a member is absent", () => {
  it("from the first list on that does not have its process", () => {
    const { registrations } = new Maps().take([A, B]);
    expect(registrations.absentSinceMs(B)).toBeNull();
    registrations.takeNodes(registered([A, mapMember("b", { incarnation: "second" })]), 0, 500);
    registrations.takeNodes(registered([A]), 0, 900);
    expect(registrations.absentSinceMs(B)).toBe(500);
    expect(registrations.absentSinceMs(A)).toBeNull();
  });

  it("no more once a list has it", () => {
    const { registrations } = new Maps().take([A, B]);
    registrations.takeNodes(registered([A]), 0, 500);
    registrations.takeNodes(registered([A, B]), 0, 600);
    expect(registrations.absentSinceMs(B)).toBeNull();
  });

  it("still, when others come and go in steps that were seen", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A]), 0, 500);
    maps.take([A, B, C]).take([A, B]);
    expect(maps.registrations.absentSinceMs(B)).toBe(500);
  });

  it("no more after a repetition: its registration may count by that", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A]), 0, 500);
    maps.take([A, B]);
    expect(maps.registrations.absentSinceMs(B)).toBeNull();
  });

  it("no more after a step that was missed", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A]), 0, 500);
    maps.put([A, B]).take([A, B, C]);
    expect(maps.registrations.absentSinceMs(B)).toBeNull();
  });

  it("no more after it was out of the map", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A]), 0, 500);
    maps.take([A]).take([A, B]);
    expect(maps.registrations.absentSinceMs(B)).toBeNull();
  });
});

describe("the own registration", () => {
  it("counts by the first map with this process that came after it", () => {
    const maps = new Maps().take([B]).take([B, A]);
    expect(maps.registrations.counts(0)).toBe(false);
    maps.registrations.takeNodes(registered([A, B], 105), 0, 0);
    expect(maps.registrations.counts(0)).toBe(true);
    expect(maps.registrations.needsRepetition(0)).toBe(false);
  });

  it("counts by the first map of a cluster", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A, B], 105), 0, 0);
    expect(maps.registrations.counts(0)).toBe(true);
  });

  it("that came after the map counts by a repetition only", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A, B], 115), 0, 0);
    expect(maps.registrations.counts(0)).toBe(false);
    expect(maps.registrations.needsRepetition(0)).toBe(true);
    maps.take([A, B, C]);
    expect(maps.registrations.needsRepetition(0)).toBe(true);
    maps.take([A, B, C]);
    expect(maps.registrations.counts(0)).toBe(true);
  });

  it("counts by no map whose step was missed", () => {
    const maps = new Maps().take([B]).put([B]).take([A, B]);
    maps.registrations.takeNodes(registered([A, B], 105), 0, 0);
    expect(maps.registrations.counts(0)).toBe(false);
    expect(maps.registrations.needsRepetition(0)).toBe(true);
  });

  it("is not known after the lease was lost, until another list", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A, B], 105), 0, 0);
    expect(maps.registrations.knowsOwn(1)).toBe(false);
    expect(maps.registrations.counts(1)).toBe(false);
    maps.registrations.takeNodes(registered([A, B], 115), 1, 0);
    expect(maps.registrations.needsRepetition(1)).toBe(true);
  });

  it("is none when a list does not have it, or has a former process", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([B], 105), 0, 0);
    expect(maps.registrations.knowsOwn(0)).toBe(false);
    const former = mapMember("a", { incarnation: "former" });
    maps.registrations.takeNodes(registered([former, B], 105), 0, 0);
    expect(maps.registrations.knowsOwn(0)).toBe(false);
  });

  it("does not count in a map without this process", () => {
    const maps = new Maps().take([A, B]);
    maps.registrations.takeNodes(registered([A, B], 105), 0, 0);
    maps.take([B]);
    expect(maps.registrations.counts(0)).toBe(false);
    expect(maps.registrations.isMember).toBe(false);
  });
});

it("the log is in the map since this process first saw it there", () => {
  const maps = new Maps().take([B], 100);
  expect(maps.registrations.logSinceMs).toBeNull();
  maps.take([B, mapMember("a", { incarnation: "former" })], 200);
  expect(maps.registrations.logSinceMs).toBe(200);
  maps.take([B, A], 300);
  expect(maps.registrations.logSinceMs).toBe(200);
  maps.take([B], 400).take([A, B], 500);
  expect(maps.registrations.logSinceMs).toBe(500);
});
