// What a row of the settings table may say, and the types that follow from it.

interface ValueRowBase {
  /** Name of the value in the typed settings; unit and bound last. */
  readonly field: string;
  /** One sentence for the operator: what it does and when to change it. */
  readonly doc: string;
  /** Said instead of the default where the default depends on the machine. */
  readonly defaultDoc?: string;
  /** Variables of the original gateway that set it too; TAILRACE_* wins over them. */
  readonly originalEnv?: readonly string[];
  /** Its value never appears in a message. */
  readonly secret?: true;
}

/** A number; `default` is written as the operator writes it, `min` and `max` in ms or bytes. */
export interface NumberRow extends ValueRowBase {
  readonly kind: "integer" | "size" | "duration";
  readonly default: number | string;
  readonly min: number;
  readonly max: number;
  /** Present: 0 is allowed as well, and means this. */
  readonly zeroMeans?: string;
}

/** One word of a fixed list. */
export interface ChoiceRow extends ValueRowBase {
  readonly kind: "choice";
  readonly values: readonly string[];
  readonly default: string;
  /** Present: "" is allowed as well, and means this. */
  readonly emptyMeans?: string;
}

/** A string with a form: see `readValue` for what each kind accepts. */
export interface TextRow extends ValueRowBase {
  readonly kind: "text" | "name" | "path" | "logPath" | "url" | "headerName" | "headerValue";
  readonly default: string;
  /** Said of what is allowed, where "a string" says too little. */
  readonly form?: string;
  /** Must be written by the operator: there is no default. */
  readonly required?: true;
  /** Empty is refused, with this sentence. */
  readonly refuseEmpty?: string;
}

/** host:port. */
export interface AddressRow extends ValueRowBase {
  readonly kind: "address";
  readonly default: string;
}

/** An object of HTTP header names and string values. */
export interface HeadersRow extends ValueRowBase {
  readonly kind: "headers";
  readonly default: Readonly<Record<string, string>>;
}

/** An array of strings that are not empty. */
export interface TextListRow extends ValueRowBase {
  readonly kind: "textList";
  readonly default: readonly string[];
  /** As of a text. */
  readonly form?: string;
}

/** A key that holds other keys or picks them; the code that reads its section checks it. */
export interface StructureRow {
  readonly kind: "structure";
  readonly form: string;
  readonly doc: string;
  readonly defaultDoc?: string;
}

export type ValueRow =
  NumberRow | ChoiceRow | TextRow | AddressRow | HeadersRow | TextListRow;
export type Row = ValueRow | StructureRow;
/** One object of the configuration file, by key. */
export type Rows = Readonly<Record<string, Row>>;

/** Where a listener binds; port 0 lets the system choose. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

type ValueOf<R> =
  R extends { kind: NumberRow["kind"] } ? number
  : R extends { kind: "choice"; values: readonly (infer Value)[] } ? Value
  : R extends { kind: "address" } ? Address
  : R extends { kind: "textList" } ? readonly string[]
  : R extends { kind: "headers" } ? Readonly<Record<string, string>>
  : string;

/** The typed values of one object: a field for every row that has one. */
export type FieldsOf<T extends Rows> = {
  readonly [Key in keyof T as T[Key] extends ValueRow ? T[Key]["field"] : never]: ValueOf<T[Key]>;
};
