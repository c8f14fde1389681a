// What must hold between the settings of a node in a cluster, and what is probably not meant.

import { checkClusterAddresses } from "./check-cluster-addresses.ts";
import { formatDuration, SECOND_MS } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { MEMBER_TEXT_MAX } from "./limits.ts";
import { placeOf, type ClusterInput } from "./read-cluster.ts";
import type { ClusterSettings } from "./settings-types.ts";
import { showValue } from "./values.ts";

/** Below this etcd elects without need, and refuses to start. */
const HEARTBEATS_PER_ELECTION = 5;

type SettingName = Parameters<typeof placeOf>[0];

/** Reports what a start would trip over later; addresses are in a file of their own. */
export function checkCluster(
  settings: ClusterSettings, input: ClusterInput, findings: Findings,
): void {
  const problem = (name: SettingName, message: string): void => {
    const { path, offset } = placeOf(name, input);
    findings.problem(path, message, offset);
  };
  const warning = (name: SettingName, message: string): void => {
    const { path, offset } = placeOf(name, input);
    findings.warning(path, message, offset);
  };
  const nameFault = serverNameFault(settings.serverName);
  if (nameFault !== null) problem("ServerName", nameFault);
  checkTimes(settings, input, problem);
  for (const kind of ["Client", "Peer"] as const) checkTls(kind, settings, problem);
  checkClusterAddresses(settings, input, findings);
  if (input.onShutdown === "decide") {
    warning("OnShutdown", "\"decide\" means \"keep\" in a cluster: what this node has not judged, "
      + "the other nodes judge");
  }
}

function serverNameFault(name: string): string | null {
  if (name === "") {
    return "is empty, and this machine has no host name; write one that no other node of the "
      + "cluster has";
  }
  if (name.length > MEMBER_TEXT_MAX) {
    return `has ${name.length} characters; allowed: at most ${MEMBER_TEXT_MAX}; shorten it`;
  }
  if (!/[,=]/.test(name)) return null;
  return `${showValue(name)} has a comma or an equals sign, at which etcd cuts names; choose `
    + "another";
}

function checkTimes(
  { etcdElectionMs, etcdHeartbeatMs }: ClusterSettings, { rows }: ClusterInput,
  problem: (name: SettingName, message: string) => void,
): void {
  const electionMsMin = HEARTBEATS_PER_ELECTION * etcdHeartbeatMs;
  if (etcdElectionMs < electionMsMin) {
    problem("EtcdElectionTimeout", `${formatDuration(etcdElectionMs)} is less than `
      + `${HEARTBEATS_PER_ELECTION} times EtcdHeartBeatInterval, `
      + `${formatDuration(etcdHeartbeatMs)}; use at least ${formatDuration(electionMsMin)}, or a `
      + "shorter EtcdHeartBeatInterval");
  }
  const { clusterLeaseTtlMs } = rows;
  if (clusterLeaseTtlMs % SECOND_MS !== 0) {
    const wholeMs = Math.ceil(clusterLeaseTtlMs / SECOND_MS) * SECOND_MS;
    problem("ClusterLeaseTTL", `${formatDuration(clusterLeaseTtlMs)} is no whole number of `
      + `seconds, and etcd counts in these; use ${formatDuration(wholeMs)}`);
  }
}

/** Files of one kind of connection that say nothing without each other. */
function checkTls(
  kind: "Client" | "Peer", settings: ClusterSettings,
  problem: (name: SettingName, message: string) => void,
): void {
  const certificate = settings[`etcd${kind}CertFile`];
  const key = settings[`etcd${kind}KeyFile`];
  const authority = settings[`etcd${kind}TrustedCaFile`];
  const certificateName = `Etcd${kind}CertFile` as const;
  const asks = settings[`etcd${kind}CertAuth`] === "yes";
  if (certificate !== "" && key === "") {
    problem(certificateName, `needs Etcd${kind}KeyFile, the private key of the certificate; write `
      + "both, or neither for plain connections");
  }
  if (certificate !== "" && asks && authority === "") {
    problem(`Etcd${kind}CertAuth`, `needs Etcd${kind}TrustedCaFile, the certificates of those who `
      + "sign the certificates that are asked for; write it as well, or \"no\"");
  }
  if (certificate !== "") return;
  for (const [name, isWritten] of [
    [`Etcd${kind}KeyFile`, key !== ""], [`Etcd${kind}TrustedCaFile`, authority !== ""],
    [`Etcd${kind}CertAuth`, asks],
  ] as const) {
    if (!isWritten) continue;
    problem(name, `needs ${certificateName}, without which connections are plain; write it as `
      + "well, or leave this key out");
  }
}
