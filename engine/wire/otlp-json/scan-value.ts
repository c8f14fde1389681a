// The messages of OTLP as they are in JSON, where they are only checked: values of attributes,
// events, links, scopes. Fields listed here are what a renderer may write.
//
// Base64 of bytesValue is not checked, nor are names of enum values: a renderer reads them with
// care.

import {
  Shape, TYPE_BOOLEAN, TYPE_DOUBLE, TYPE_I64, TYPE_OBJECT, TYPE_OBJECTS, TYPE_SPAN_ID, TYPE_STRING,
  TYPE_TRACE_ID, TYPE_U32, TYPE_U64,
} from "../json/shape.ts";

const ARRAY_VALUE = new Shape([]);
const KEY_VALUE_LIST = new Shape([]);
/** The order of its fields is that of the VALUE_ numbers. */
export const ANY_VALUE = new Shape([
  { name: "stringValue", type: TYPE_STRING }, { name: "intValue", type: TYPE_I64 },
  { name: "boolValue", type: TYPE_BOOLEAN }, { name: "doubleValue", type: TYPE_DOUBLE },
  { name: "arrayValue", type: TYPE_OBJECT, inner: ARRAY_VALUE },
  { name: "kvlistValue", type: TYPE_OBJECT, inner: KEY_VALUE_LIST },
  { name: "bytesValue", type: TYPE_STRING },
], true);
export const VALUE_STRING = 1;
export const VALUE_INT = 2;
export const VALUE_BOOL = 3;
export const VALUE_DOUBLE = 4;

export const KEY_VALUE = new Shape([
  { name: "key", type: TYPE_STRING }, { name: "value", type: TYPE_OBJECT, inner: ANY_VALUE },
]);
export const KEY_VALUE_KEY = 1;
export const KEY_VALUE_VALUE = 2;

ARRAY_VALUE.define([{ name: "values", type: TYPE_OBJECTS, inner: ANY_VALUE }]);
KEY_VALUE_LIST.define([{ name: "values", type: TYPE_OBJECTS, inner: KEY_VALUE }]);

export const EVENT = new Shape([
  { name: "timeUnixNano", type: TYPE_U64 }, { name: "name", type: TYPE_STRING },
  { name: "attributes", type: TYPE_OBJECTS, inner: KEY_VALUE },
  { name: "droppedAttributesCount", type: TYPE_U32 },
]);

/** Ids of a wrong size or form set idFault of shape. */
export const LINK = new Shape([
  { name: "traceId", type: TYPE_TRACE_ID }, { name: "spanId", type: TYPE_SPAN_ID },
  { name: "traceState", type: TYPE_STRING },
  { name: "attributes", type: TYPE_OBJECTS, inner: KEY_VALUE },
  { name: "droppedAttributesCount", type: TYPE_U32 }, { name: "flags", type: TYPE_U32 },
]);

export const SCOPE = new Shape([
  { name: "name", type: TYPE_STRING }, { name: "version", type: TYPE_STRING },
  { name: "attributes", type: TYPE_OBJECTS, inner: KEY_VALUE },
  { name: "droppedAttributesCount", type: TYPE_U32 },
]);
