// The configuration file as a whole: listeners, forwarders, and what must hold between them.

import { join, sep } from "node:path";
import { checkListener } from "./check-listeners.ts";
import {
  ORIGINAL_LISTENER, ORIGINAL_LISTENER_TYPES, ORIGINAL_TOP_LEVEL,
} from "./original-keys.ts";
import {
  memberOf, pathOf, readObjects, readRows, readType, reportOtherKeys,
  type ReadContext, type Section,
} from "./read-section.ts";
import {
  readForwarders, type ForwardersReading, type ValidatePolicies, type WrittenLocation,
} from "./read-forwarders.ts";
import type { FieldsOf } from "./setting-row.ts";
import type { Address, FileForwarderSettings, ListenerSettings } from "./settings-types.ts";
import {
  LISTEN_ADDRESSES, LISTENER, LISTENERS_MAX, LISTENER_TYPES, TOP_LEVEL,
} from "./settings.ts";
import { addressText } from "./values.ts";

/** Directories below the data directory that belong to the gateway. */
const OWN_DIRECTORIES = ["log", "outbox"];

/** Of a listener whose own was refused: it is in no other's way. */
const NO_ADDRESS: Address = { host: "", port: 0 };

/** What the file says, with the defaults of the table, before the environment. */
export interface FileReading {
  readonly top: FieldsOf<typeof TOP_LEVEL>;
  readonly listeners: readonly ListenerSettings[];
  readonly forwarding: ForwardersReading;
  /** Every BackupLocation that is written, the top-level one first. */
  readonly locations: readonly WrittenLocation[];
  readonly section: Section;
  readonly listenerSections: readonly Section[];
}

/** Reads the whole file; problems are in the context. */
export function readFileSections(
  section: Section, context: ReadContext, validatePolicies: ValidatePolicies,
): FileReading {
  const top = readRows(TOP_LEVEL, section, context);
  reportOtherKeys(section, [TOP_LEVEL], ORIGINAL_TOP_LEVEL, context);
  const listeners: ListenerSettings[] = [];
  const listenerSections: Section[] = [];
  for (const item of readObjects(section, "ListenFrom", LISTENERS_MAX, context)) {
    const type = readType(item, LISTENER_TYPES, ORIGINAL_LISTENER_TYPES, "listener", context);
    if (type === null) continue;
    const own = readRows(LISTENER, item, context);
    const written = memberOf(item, "ListenAddr");
    const refused = context.findings.problems.some(({ path }) => path === written?.path);
    const address = refused ? NO_ADDRESS
      : written === null ? addressOf(LISTEN_ADDRESSES[type]) : own.address;
    reportOtherKeys(item, [LISTENER], ORIGINAL_LISTENER, context);
    listeners.push({ ...own, address, type, name: own.name === "" ? type : own.name });
    listenerSections.push(item);
  }
  const forwarding = readForwarders(section, context, validatePolicies);
  const written = memberOf(section, "BackupLocation");
  const ownLocation = written === null
    ? []
    : [{ path: written.path, directory: top.backupLocation, offset: written.node.offset }];
  return {
    top, listeners, forwarding, section, listenerSections,
    locations: [...ownLocation, ...forwarding.locations],
  };
}

/**
 * What must hold between settings, once the environment has had its say.
 * @param adminAddress and `dataDirectory` are the final ones.
 */
export function checkRelations(
  reading: FileReading, adminAddress: Address, dataDirectory: string, context: ReadContext,
): void {
  const { listeners, listenerSections, forwarding } = reading;
  checkNames(listeners, listenerSections, "listener", context);
  checkNames(forwarding.forwarders, forwarding.sections, "forwarder", context);
  checkAddresses(reading, adminAddress, context);
  listeners.forEach((listener, index) => {
    checkListener(listener, listenerSections[index]!, context); // one each
  });
  checkFilePaths(forwarding, dataDirectory, context);
  const { findings } = context;
  if (listeners.length === 0 && findings.problems.length === 0) {
    const path = pathOf(reading.section, "ListenFrom");
    findings.warning(path, "is empty: no spans can come in", reading.section.node.offset);
  }
  if (forwarding.forwarders.length === 0 && findings.problems.length === 0) {
    const path = pathOf(reading.section, "ForwardTo");
    const message = "is empty: spans are accepted, counted and then dropped";
    findings.warning(path, message, reading.section.node.offset);
  }
}

/** Locations that disagree with the first one are problems: there is one log in a process. */
export function checkLocations(reading: FileReading, context: ReadContext): void {
  const [first, ...others] = reading.locations;
  for (const other of others) {
    if (first === undefined || other.directory === first.directory) continue;
    const message = `${other.directory} is not ${first.directory}, which ${first.path} says; `
      + "there is one log for all: write the same directory, or leave this key out";
    context.findings.problem(other.path, message, other.offset);
  }
}

function checkNames(
  items: readonly { readonly name: string }[], sections: readonly Section[],
  noun: "listener" | "forwarder", context: ReadContext,
): void {
  const seen = new Map<string, Section>();
  items.forEach(({ name }, index) => {
    const section = sections[index]!;
    const earlier = seen.get(name);
    if (earlier === undefined) {
      seen.set(name, section);
      return;
    }
    const message = `cannot duplicate ${noun} names or types without names: `
      + `${earlier.path} is "${name}" as well; give one another Name`;
    context.findings.problem(section.path, message, section.node.offset);
  });
}

function checkAddresses(
  { listeners, listenerSections }: FileReading, adminAddress: Address, context: ReadContext,
): void {
  const seen = new Map([[addressText(adminAddress), "AdminAddress"]]);
  listeners.forEach(({ address }, index) => {
    const section = listenerSections[index]!;
    const path = pathOf(section, "ListenAddr");
    const earlier = seen.get(addressText(address));
    if (earlier !== undefined && address.port !== 0) {
      const offset = memberOf(section, "ListenAddr")?.node.offset ?? section.node.offset;
      const message = `${addressText(address)} is taken by ${earlier}; choose another port`;
      context.findings.problem(path, message, offset);
    }
    seen.set(addressText(address), path);
  });
}

/** Of a default, which is well-formed. */
function addressOf(text: string): Address {
  const portAt = text.lastIndexOf(":") + 1;
  return { host: text.slice(0, portAt - 1), port: Number(text.slice(portAt)) };
}

function checkFilePaths(
  { forwarders, sections }: ForwardersReading, dataDirectory: string, context: ReadContext,
): void {
  const seen = new Map<string, string>();
  forwarders.forEach((forwarder, index) => {
    if (forwarder.type !== "file" || forwarder.path === "") return;
    const section = sections[index]!;
    const path = pathOf(section, "Path");
    const offset = memberOf(section, "Path")?.node.offset ?? section.node.offset;
    const earlier = seen.get(forwarder.path);
    if (earlier !== undefined) {
      const message = `${forwarder.path} is written by ${earlier} already; choose another`;
      context.findings.problem(path, message, offset);
    }
    seen.set(forwarder.path, path);
    if (liesInOwnDirectory(forwarder, dataDirectory)) {
      const message = `${forwarder.path} lies in a directory that the gateway keeps its log in; `
        + "choose a path outside log and outbox";
      context.findings.problem(path, message, offset);
    }
  });
}

function liesInOwnDirectory({ path }: FileForwarderSettings, dataDirectory: string): boolean {
  const directories = OWN_DIRECTORIES.map((name) => join(dataDirectory, name) + sep);
  return directories.some((directory) => (path + sep).startsWith(directory));
}
