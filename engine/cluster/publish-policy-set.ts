import type { ClusterStore } from "./cluster-store.ts";
import { MAP_KEY } from "./membership.ts";
import { PolicySetStore } from "./policy-set-store.ts";
import { decodeMap } from "./shard-map-codec.ts";

/**
 * Publishes a node's policy set, before it registers itself: who reads its hash finds the text.
 * @throws GatewayError as PolicySetStore.put; CLUSTER_STORE_UNAVAILABLE, CLUSTER_FORMAT.
 */
export async function publishPolicySet(
  store: ClusterStore, { hash, text }: { readonly hash: string; readonly text: string },
): Promise<void> {
  const entry = await store.get(MAP_KEY);
  const members = entry === null ? [] : decodeMap(entry.value).members;
  const used = new Set(members.map(({ policySet }) => policySet));
  await new PolicySetStore(store).put(hash, text, used);
}
