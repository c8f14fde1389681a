import { describe, expect, it } from "vitest";
import { MAP_KEY } from "../../../engine/cluster/membership.ts";
import {
  PolicySetStore, POLICY_SETS_MAX, POLICY_SETS_PREFIX,
} from "../../../engine/cluster/policy-set-store.ts";
import { publishPolicySet } from "../../../engine/cluster/publish-policy-set.ts";
import { encodeMap } from "../../../engine/cluster/shard-map-codec.ts";
import { planMap } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";
import { MemoryCluster, MemoryStore } from "../../support/memory-store.ts";

describe("publishing a policy set", () => {
  it("keeps those that members of the map decide by, however old", async () => {
    const cluster = new MemoryCluster();
    const store = new MemoryStore(cluster);
    await publishPolicySet(store, { hash: "used", text: "text" });
    const map = planMap(null, [mapMember("a", { policySet: "used" })]);
    cluster.write(MAP_KEY, encodeMap(map), null);
    for (let set = 0; set < POLICY_SETS_MAX + 3; set++) {
      await publishPolicySet(store, { hash: `set-${set}`, text: `text ${set}` });
    }
    const sets = new PolicySetStore(store);
    expect(await sets.get("used")).toBe("text");
    expect(await sets.get("set-0")).toBeNull();
    expect(cluster.keys.filter((key) => key.startsWith(POLICY_SETS_PREFIX)))
      .toHaveLength(POLICY_SETS_MAX);
  });

  it("is refused by a store that does not answer, and a reader tries again", async () => {
    const cluster = new MemoryCluster();
    const store = new MemoryStore(cluster);
    store.isDown = true;
    await expect(publishPolicySet(store, { hash: "a", text: "text" }))
      .rejects.toMatchObject({ code: "CLUSTER_STORE_UNAVAILABLE" });
    expect(await new PolicySetStore(store).tryGet("a"))
      .toMatchObject({ code: "CLUSTER_STORE_UNAVAILABLE" });
    store.isDown = false;
    await publishPolicySet(store, { hash: "a", text: "text" });
    expect(await new PolicySetStore(store).tryGet("a")).toBe("text");
    expect(await new PolicySetStore(store).tryGet("b")).toBeNull();
  });
});
