// From settings to the log: where it is, and what it must never show.

import { accessSync, constants, mkdirSync } from "node:fs";
import path from "node:path";
import type { Rows } from "../../config/setting-row.ts";
import {
  FILE_FORWARDER, FORWARDER, LISTENER, OTLP_FORWARDER, TOP_LEVEL, TRACE_SAMPLE,
} from "../../config/settings.ts";
import type { Settings } from "../../config/settings-types.ts";
import { GatewayError } from "../base/errors.ts";
import { createLogMemory, LOG_TO_STDOUT, type LogOptions } from "../base/log.ts";
import { SECRET_CHARACTERS_MIN } from "../base/redaction.ts";

const LOG_FILE = "gateway.log";
const MEGABYTE = 1024 * 1024;
const ROWS: readonly Rows[] = [
  TOP_LEVEL, LISTENER, FORWARDER, OTLP_FORWARDER, FILE_FORWARDER, TRACE_SAMPLE,
];
/** A scheme and its credentials: `Bearer abc`. */
const SCHEME = /^(\S+)\s+(\S.*)$/;

/** Options for the log of this process; made once, as all threads share their memory. */
export function logOptions(settings: Settings): LogOptions {
  const { logDirectory } = settings;
  return {
    file: logDirectory === LOG_TO_STDOUT ? LOG_TO_STDOUT : path.join(logDirectory, LOG_FILE),
    format: settings.logFormat,
    bytesMax: settings.logMegabytesMax * MEGABYTE,
    backupsMax: settings.logBackupsMax,
    secrets: secretsOf(settings),
    memory: createLogMemory(),
  };
}

/** @throws GatewayError CONFIG_INVALID when the directory cannot take a log. */
export function makeLogDirectory(settings: Settings): void {
  const { logDirectory } = settings;
  if (logDirectory === LOG_TO_STDOUT) return;
  try {
    mkdirSync(logDirectory, { recursive: true, mode: 0o750 });
    accessSync(logDirectory, constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `LogDir ${logDirectory} cannot be written (${reason}): make it writable for this `
      + "user, or set LogDir to \"-\" for standard output";
    throw new GatewayError("CONFIG_INVALID", text, { logDirectory }, error);
  }
}

/** Every text of the settings that a row calls secret, and what an address carries in itself. */
export function secretsOf(settings: Settings): string[] {
  const secrets = new Set<string>();
  const secretFields = new Set(["token", ...ROWS.flatMap(secretFieldsOf)]);
  for (const section of [settings, ...settings.listenFrom, ...settings.forwardTo]) {
    for (const [field, value] of Object.entries(section)) {
      if (secretFields.has(field)) textsIn(value).forEach((text) => addCredential(secrets, text));
    }
  }
  for (const forwarder of settings.forwardTo) {
    if (forwarder.type !== "file") addAddress(secrets, forwarder.url);
  }
  secrets.delete("");
  return [...secrets];
}

/** Tokens that are too short to be told from ordinary text: nothing can hide them. */
export function countShortTokens(settings: Settings): number {
  const tokens = settings.forwardTo.flatMap((forwarder) => {
    return forwarder.type === "file" ? [] : [forwarder.token];
  });
  for (const { acceptTokens } of settings.listenFrom) tokens.push(...acceptTokens);
  return tokens.filter((token) => token !== "" && token.length < SECRET_CHARACTERS_MIN).length;
}

function secretFieldsOf(rows: Rows): string[] {
  return Object.values(rows).flatMap((row) => {
    return row.kind !== "structure" && row.secret === true ? [row.field] : [];
  });
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

function addCredential(secrets: Set<string>, text: string): void {
  secrets.add(text.trim());
  const [, scheme = "", credentials] = SCHEME.exec(text.trim()) ?? [];
  if (credentials === undefined) return;
  secrets.add(credentials);
  if (scheme.toLowerCase() !== "basic") return;
  const pair = Buffer.from(credentials, "base64").toString();
  secrets.add(pair);
  secrets.add(pair.slice(pair.indexOf(":") + 1));
}

/** As they are written in the address and as they are meant. */
function addAddress(secrets: Set<string>, address: string): void {
  if (!URL.canParse(address)) return;
  const { username, password, search, searchParams } = new URL(address);
  for (const text of [username, password]) secrets.add(text).add(decoded(text));
  if (password !== "") {
    const pair = `${decoded(username)}:${decoded(password)}`;
    secrets.add(Buffer.from(pair).toString("base64"));
  }
  for (const value of searchParams.values()) secrets.add(value);
  for (const pair of search.slice(1).split("&")) secrets.add(pair.slice(pair.indexOf("=") + 1));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a percent sign that stands for itself
  }
}
