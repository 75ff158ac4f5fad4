/** An operation of the node as a request of the API, made from the parameters of a workflow. */
import type { IDataObject, IExecuteFunctions, IHttpRequestMethods } from "n8n-workflow";
import { tryToParseDateTime } from "n8n-workflow";

export interface Field {
  name: string;
  place: string;
  /** Whether it is always visible; others are in the collection `more`. */
  shown: boolean;
  type: string;
}

export interface Operation {
  method: string;
  path: string;
  /** Whether it returns pages. */
  lists: boolean;
  /** Whether it returns a clip or a recording, which ends later. */
  ends: boolean;
  fields: Field[];
}

export interface ApiRequest {
  method: IHttpRequestMethods;
  path: string;
  query?: string[][];
  body?: IDataObject;
  headers?: IDataObject;
}

/** Return the request for an item. Empty fields are not sent. */
export function requestOf(this: IExecuteFunctions, operation: Operation, item: number): ApiRequest {
  const more = this.getNodeParameter("more", item, {}) as IDataObject;
  let path = operation.path;
  const query: string[][] = [];
  const body: IDataObject = {};
  for (const { name, place, shown, type } of operation.fields) {
    const given = shown ? this.getNodeParameter(name, item) : more[name];
    if (given === undefined || given === "" || (Array.isArray(given) && given.length === 0)) continue;
    const value = convert.call(this, given, type, name);
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(String(value)));
    else if (place === "query") query.push(...pairs(name, value));
    else body[name] = value as IDataObject;
  }
  if (body.parts) {
    delete body.start_seconds;
    delete body.end_seconds;
  }
  const method = operation.method as IHttpRequestMethods;
  return method === "GET" ? { method, path, query } : { method, path, query, body };
}

function convert(this: IExecuteFunctions, given: unknown, type: string, name: string): unknown {
  if (type === "dateTime") return tryToParseDateTime(given, this.getTimezone()).toUTC().toISO();
  if (type !== "json" || typeof given !== "string") return given;
  try {
    return JSON.parse(given);
  } catch {
    throw new Error(`${name} must be JSON`);
  }
}

function pairs(name: string, value: unknown): string[][] {
  if (Array.isArray(value)) return value.map((each) => [name, String(each)]);
  if (typeof value !== "object" || value === null) return [[name, String(value)]];
  return Object.entries(value).map(([key, each]) => [`${name}[${key}]`, String(each)]);
}
