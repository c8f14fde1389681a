// The policies of one sampler, in the words of OpenTelemetry's `tail_sampling` processor, so that a
// `policies:` list of a Collector can be pasted: same types, same field names, same defaults. What
// the Collector takes silently and then never does (an unknown field, a probability that was
// forgotten, a range that is empty) is refused here with its path.
//
// Source of types and fields: opentelemetry-collector-contrib,
// processor/tailsamplingprocessor/config.go.

import { z } from "zod";
import { nearestName } from "../../config/nearest-name.ts";
import { AttributeMatcher } from "../part/attribute-matcher.ts";
import { POLICIES_MAX } from "../part/decision-layout.ts";

/** Types that can be compiled, in the order the documentation of OpenTelemetry has them. */
export const POLICY_TYPES = [
  "always_sample", "latency", "numeric_attribute", "probabilistic", "status_code",
  "string_attribute", "span_count", "boolean_attribute", "and", "not", "drop",
] as const;
export type PolicyType = (typeof POLICY_TYPES)[number];

/** Types OpenTelemetry has and this gateway does not: the error says so instead of "unknown". */
const TYPES_ELSEWHERE = [
  "rate_limiting", "bytes_limiting", "trace_state", "trace_flags", "ottl_condition", "composite",
  "extension",
];

export const STATUS_CODES = ["OK", "ERROR", "UNSET"] as const;
export type StatusCode = (typeof STATUS_CODES)[number];

/** Policies inside policies: OpenTelemetry goes two deep (`not` in `and`); more is accepted. */
export const POLICY_DEPTH_MAX = 4;
/** The name becomes a metric label and an attribute of every kept span. */
const NAME_CHARACTERS_MAX = 256;
const KEY_CHARACTERS_MAX = 1_024;
/** Values of one `string_attribute`: a list of tenants fits, a dump of a database does not. */
const VALUES_MAX = 10_000;
const VALUE_CHARACTERS_MAX = 4_096;
const SPANS_MAX = 2 ** 31 - 1;
const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 63n - 1n;

/**
 * A signed 64-bit integer; past 2^53 a number of JSON is not exact, so it is written as a string.
 */
export type Integer64 = number | string;

export interface LatencyFields {
  /** Exclusive, ms; default 0. */
  readonly threshold_ms?: number | undefined;
  /** Inclusive, ms; 0 or absent: no upper bound. */
  readonly upper_threshold_ms?: number | undefined;
}

export interface NumericAttributeFields {
  readonly key: string;
  /** Inclusive; 0 or absent: no bound, as in OpenTelemetry. */
  readonly min_value?: Integer64 | undefined;
  readonly max_value?: Integer64 | undefined;
  readonly invert_match?: boolean | undefined;
}

export interface ProbabilisticFields {
  /** Empty or absent: OpenTelemetry's `default-hash-seed`. */
  readonly hash_salt?: string | undefined;
  /** 0 and more; 100 and more keep everything. */
  readonly sampling_percentage: number;
}

export interface StringAttributeFields {
  readonly key: string;
  /** Exact values, or unanchored RE2 expressions when `enabled_regex_matching`. */
  readonly values: readonly string[];
  readonly enabled_regex_matching?: boolean | undefined;
  /** Remembered regex results; 0, negative or absent: 128. The matcher cuts what is too much. */
  readonly cache_max_size?: number | undefined;
  readonly invert_match?: boolean | undefined;
}

export interface BooleanAttributeFields {
  readonly key: string;
  /** Default false. */
  readonly value?: boolean | undefined;
  readonly invert_match?: boolean | undefined;
}

export interface SpanCountFields {
  readonly min_spans?: number | undefined;
  /** Inclusive; 0 or absent: no upper bound. */
  readonly max_spans?: number | undefined;
}

/** What a policy tests, without its name; `and` and `not` may hold each other. */
export type PolicyBody =
  | { readonly type: "always_sample" }
  | { readonly type: "latency"; readonly latency: LatencyFields }
  | { readonly type: "numeric_attribute"; readonly numeric_attribute: NumericAttributeFields }
  | { readonly type: "probabilistic"; readonly probabilistic: ProbabilisticFields }
  | { readonly type: "status_code"; readonly status_code: { status_codes: readonly StatusCode[] } }
  | { readonly type: "string_attribute"; readonly string_attribute: StringAttributeFields }
  | { readonly type: "span_count"; readonly span_count: SpanCountFields }
  | { readonly type: "boolean_attribute"; readonly boolean_attribute: BooleanAttributeFields }
  | { readonly type: "and"; readonly and: { readonly and_sub_policy: readonly SubPolicyConfig[] } }
  | { readonly type: "not"; readonly not: { readonly not_sub_policy: SubPolicyConfig } };

/** A policy inside `and`, `not` or `drop`: its name is only for the reader. */
export type SubPolicyConfig = PolicyBody & { readonly name?: string | undefined };

/** A veto: matches when all its sub policies do. Only at the top. */
export interface DropBody {
  readonly type: "drop";
  readonly drop: { readonly drop_sub_policy: readonly SubPolicyConfig[] };
}

/** One entry of `TraceSample.Policies`. */
export type PolicyConfig = (PolicyBody | DropBody) & { readonly name: string };

/** What `parsePolicies` found: the policies, or every problem as `path: sentence`. */
export interface ParsedPolicies {
  readonly policies: readonly PolicyConfig[];
  readonly problems: readonly string[];
}

const keySchema = text(KEY_CHARACTERS_MAX).min(1, "must not be empty");
const nameSchema = text(NAME_CHARACTERS_MAX).min(1, "must not be empty");
const millisecondsSchema = z.int(must("be an integer, ms")).min(0, "must not be negative");
const spansSchema = z.int(must("be an integer")).min(0, "must not be negative").max(SPANS_MAX);
const booleanSchema = z.boolean(must("be true or false"));
const integer64Schema = z.custom<Integer64>(isInteger64, {
  error: "must be an integer from -2^63 to 2^63 - 1; past 2^53 write it as a string",
});

const latencySchema = strict({
  threshold_ms: millisecondsSchema.optional(),
  upper_threshold_ms: millisecondsSchema.optional(),
}).superRefine((fields, context) => {
  const upper = fields.upper_threshold_ms ?? 0;
  if (upper === 0 || upper > (fields.threshold_ms ?? 0)) return;
  refuse(context, ["upper_threshold_ms"], "must be above threshold_ms, or nothing is ever between");
});

const numericAttributeSchema = strict({
  key: keySchema,
  min_value: integer64Schema.optional(),
  max_value: integer64Schema.optional(),
  invert_match: booleanSchema.optional(),
}).superRefine((fields, context) => {
  const min = integer64Bound(fields.min_value);
  const max = integer64Bound(fields.max_value);
  if (min === null && max === null) {
    refuse(context, [], "needs min_value or max_value (0 means: no bound)");
  }
  if (min !== null && max !== null && min > max) {
    refuse(context, ["max_value"], "must not be below min_value");
  }
});

const probabilisticSchema = strict({
  hash_salt: text(VALUE_CHARACTERS_MAX).optional(),
  sampling_percentage: z.number(must("be a number")).min(0, "must not be negative"),
});

const statusCodeSchema = strict({
  status_codes: z
    .array(z.enum(STATUS_CODES, must(`be one of ${STATUS_CODES.join(", ")}`)), must("be a list"))
    .min(1, "must name at least one status code"),
});

const stringAttributeSchema = strict({
  key: keySchema,
  values: z.array(text(VALUE_CHARACTERS_MAX), must("be a list of strings"))
    .min(1, "must list at least one value").max(VALUES_MAX),
  enabled_regex_matching: booleanSchema.optional(),
  cache_max_size: z.int(must("be an integer")).optional(),
  invert_match: booleanSchema.optional(),
}).superRefine((fields, context) => {
  for (let index = 0; index < fields.values.length; index++) {
    const problem = fields.enabled_regex_matching === true
      ? regexProblem(fields.values[index]!)
      : fields.values[index] === "" ? "an empty value never matches" : "";
    if (problem !== "") refuse(context, ["values", index], problem);
  }
});

const spanCountSchema = strict({
  min_spans: spansSchema.optional(),
  max_spans: spansSchema.optional(),
}).superRefine((fields, context) => {
  const min = fields.min_spans ?? 0;
  const max = fields.max_spans ?? 0;
  if (min === 0 && max === 0) refuse(context, [], "needs min_spans or max_spans");
  if (max !== 0 && max < min) refuse(context, ["max_spans"], "must not be below min_spans");
});

const booleanAttributeSchema = strict({
  key: keySchema, value: booleanSchema.optional(), invert_match: booleanSchema.optional(),
});

/**
 * The list `TraceSample.Policies`: at least one policy, names unique.
 * Errors: one zod issue per problem, its path inside the list.
 */
export const policiesSchema: z.ZodType<readonly PolicyConfig[]> = z
  .array(topSchema(), must("be a list of policies"))
  .min(1, "must list at least one policy")
  .max(POLICIES_MAX, `must list at most ${POLICIES_MAX} policies`)
  .superRefine((policies, context) => {
    const seen = new Set<string>();
    for (let index = 0; index < policies.length; index++) {
      const name = policies[index]!.name;
      if (seen.has(name)) refuse(context, [index, "name"], `"${name}" is the name of two policies`);
      seen.add(name);
    }
  });

/**
 * Reads a `TraceSample.Policies` value as it stands in a configuration file.
 * @param path where the list stands, for the sentences: `ForwardTo[0].TraceSample.Policies`.
 * @returns no policies when there is any problem.
 */
export function parsePolicies(value: unknown, path: string): ParsedPolicies {
  const parsed = policiesSchema.safeParse(value);
  if (parsed.success) return { policies: parsed.data, problems: [] };
  const problems = parsed.error.issues.map((issue) => {
    return `${path}${pathText(issue.path)}: ${issue.message}`;
  });
  return { policies: [], problems };
}

/** A bound of `numeric_attribute`: null when absent or 0, which OpenTelemetry cannot tell apart. */
export function integer64Bound(value: Integer64 | undefined): bigint | null {
  const bound = value === undefined ? 0n : BigInt(value);
  return bound === 0n ? null : bound;
}

/** Policies at the top: named, and with `drop`. */
function topSchema(): z.ZodType<PolicyConfig> {
  const types: string[] = [...POLICY_TYPES];
  const subs = subPoliciesSchema(subPolicySchema(1));
  const drop = strict({
    name: nameSchema, type: z.literal("drop"), drop: strict({ drop_sub_policy: subs }),
  });
  const options = [...leaves(nameSchema), ...combinations(nameSchema, 1), drop] as const;
  return z.discriminatedUnion("type", options, { error: (issue) => typeProblem(issue, types, 0) });
}

/** Policies inside others at one depth; the last depth holds no further ones. */
function subPolicySchema(depth: number): z.ZodType<SubPolicyConfig> {
  const name = nameSchema.optional();
  const types: string[] = POLICY_TYPES.filter((type) => type !== "drop");
  if (depth < POLICY_DEPTH_MAX) {
    const options = [...leaves(name), ...combinations(name, depth + 1)] as const;
    return z.discriminatedUnion("type", options, {
      error: (issue) => typeProblem(issue, types, depth),
    });
  }
  const leafTypes = types.filter((type) => type !== "and" && type !== "not");
  return z.discriminatedUnion("type", leaves(name), {
    error: (issue) => typeProblem(issue, leafTypes, depth),
  });
}

function leaves<Name extends z.ZodString | z.ZodOptional<z.ZodString>>(name: Name) {
  const policy = <Type extends PolicyType>(type: Type) => ({ name, type: z.literal(type) });
  return [
    strict(policy("always_sample")),
    strict({ ...policy("latency"), latency: latencySchema }),
    strict({ ...policy("numeric_attribute"), numeric_attribute: numericAttributeSchema }),
    strict({ ...policy("probabilistic"), probabilistic: probabilisticSchema }),
    strict({ ...policy("status_code"), status_code: statusCodeSchema }),
    strict({ ...policy("string_attribute"), string_attribute: stringAttributeSchema }),
    strict({ ...policy("span_count"), span_count: spanCountSchema }),
    strict({ ...policy("boolean_attribute"), boolean_attribute: booleanAttributeSchema }),
  ] as const;
}

function combinations<Name extends z.ZodString | z.ZodOptional<z.ZodString>>(
  name: Name, depth: number,
) {
  const sub = subPolicySchema(depth);
  const all = strict({ and_sub_policy: subPoliciesSchema(sub) });
  return [
    strict({ name, type: z.literal("and"), and: all }),
    strict({ name, type: z.literal("not"), not: strict({ not_sub_policy: sub }) }),
  ] as const;
}

function subPoliciesSchema(sub: z.ZodType<SubPolicyConfig>): z.ZodType<readonly SubPolicyConfig[]> {
  return z.array(sub, must("be a list of policies"))
    .min(1, "must hold at least one policy").max(POLICIES_MAX);
}

/** Text of at most `charactersMax`. */
function text(charactersMax: number): z.ZodString {
  const tooLong = `must have at most ${charactersMax} characters`;
  return z.string(must("be a string")).max(charactersMax, tooLong);
}

/** The sentence for a value of the wrong type. */
function must(sentence: string): { error: (issue: { input?: unknown }) => string } {
  return { error: (issue) => (issue.input === undefined ? "is missing" : `must ${sentence}`) };
}

/** An object that names its known fields when it meets another one. */
function strict<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") {
        const keys = issue["keys"] as string[];
        return `unknown field ${quoted(keys)}; known: ${known.join(", ")}${hintFor(keys, known)}`;
      }
      return must("be an object").error(issue);
    },
  });
}

function typeProblem(
  issue: { input?: unknown }, types: string[], depth: number,
): string | undefined {
  const input = issue.input;
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return "must be a policy object";
  }
  const type = (input as { type?: unknown }).type;
  if (types.includes(type as string)) return undefined;
  const known = `one of ${types.join(", ")}`;
  if (type === undefined) return `the policy type is missing: ${known}`;
  if (type === "drop") return `"drop" is only possible at the top; here: ${known}`;
  if (type === "and" || type === "not") {
    return `policies nest at most ${depth} deep; here: ${known}`;
  }
  if (TYPES_ELSEWHERE.includes(type as string)) {
    return `policy type "${String(type)}" of OpenTelemetry is not supported here: ${known}`;
  }
  const hint = typeof type === "string" ? hintFor([type], types) : "";
  return `unknown policy type ${JSON.stringify(type)}${hint}: ${known}`;
}

/** The matcher that will test the values compiles the expression: what it takes is right. */
function regexProblem(pattern: string): string {
  try {
    new AttributeMatcher([{ kind: "regex", key: "key", patterns: [pattern], cacheSize: 1 }]);
    return "";
  } catch (error) {
    return `not an RE2 expression: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function isInteger64(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value !== "string" || !/^-?[0-9]{1,19}$/.test(value)) return false;
  const integer = BigInt(value);
  return INTEGER_MIN <= integer && integer <= INTEGER_MAX;
}

function refuse(context: z.core.$RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: "custom", path, message });
}

function hintFor(written: readonly string[], known: readonly string[]): string {
  const near = written.flatMap((name) => nearestName(name, known) ?? []);
  return near.length === 0 ? "" : `; did you mean ${near.join(", ")}?`;
}

function quoted(keys: readonly string[]): string {
  return keys.map((key) => `"${key}"`).join(", ");
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("");
}
