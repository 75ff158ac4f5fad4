// Generates the operations of the n8n node and their fields from the OpenAPI document.

// The operations that the node offers, by resource. `shown` are optional fields that are always visible.
const SELECTED = {
  recording: {
    add: { id: "register_recording", shown: ["bucket_path", "url"], ends: true },
    get: { id: "get_recording", ends: true },
    list: { id: "list_recordings" },
  },
  clip: {
    create: { id: "create_clip", shown: ["start_seconds", "end_seconds"], ends: true },
    get: { id: "get_clip", ends: true },
    list: { id: "list_clips" },
    share: { id: "create_share" },
  },
};
const LEFT_OUT = ["cursor", "limit", "wait", "Idempotency-Key"]; // the node sets them itself

/** Return the module with the operations, the properties of the node and the events of the trigger. */
export function fieldsModule(document) {
  const operations = {};
  const properties = [choice("resource", "Resource", Object.keys(SELECTED))];
  for (const [resource, selected] of Object.entries(SELECTED)) {
    operations[resource] = {};
    const offered = Object.entries(selected).map(([name, options]) => [name, options, find(document, options.id)]);
    const choices = offered.map(([name, , { described }]) => option(name, described.summary));
    properties.push({
      ...choice("operation", "Operation", choices),
      displayOptions: { show: { resource: [resource] } },
    });
    for (const [name, options, found] of offered) {
      const { operation, shown } = describe(document, found, options);
      operations[resource][name] = operation;
      const show = { resource: [resource], operation: [name] };
      properties.push(...shown.map((property) => ({ ...property, displayOptions: { show } })));
    }
  }
  const events = Object.keys(document.webhooks).map((name) => ({ name, value: name }));
  return `import type { INodeProperties, INodePropertyOptions } from "n8n-workflow";
import type { Operation } from "../n8n/operation";

export const OPERATIONS: Record<string, Record<string, Operation>> = ${JSON.stringify(operations, null, 2)};

export const PROPERTIES: INodeProperties[] = ${JSON.stringify(properties, null, 2)};

export const EVENTS: INodePropertyOptions[] = ${JSON.stringify(events, null, 2)};
`;
}

function find(document, id) {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, described] of Object.entries(methods)) {
      if (described.operationId === id) return { path, method: method.toUpperCase(), described };
    }
  }
  throw new Error(`the OpenAPI document has no operation ${id}`);
}

function describe(document, { path, method, described }, { shown = [], ends = false }) {
  const fields = [...parameters(described), ...members(document, described)].filter(
    ({ name }) => !LEFT_OUT.includes(name),
  );
  const visible = fields.filter(({ name, required }) => required || shown.includes(name));
  const optional = fields.filter((field) => !visible.includes(field));
  const lists = described.parameters?.some(({ name }) => name === "cursor") ?? false;
  const properties = visible.map((field) => ({ ...property(document, field), required: field.required }));
  if (lists) properties.push(...LIST_PROPERTIES);
  if (ends) properties.push(...waitProperties(method === "POST"));
  if (optional.length) {
    const options = optional.map((field) => property(document, field)).sort((a, b) => (a.name < b.name ? -1 : 1));
    const displayName = lists ? "Filters" : "Additional Fields";
    properties.push({ name: "more", displayName, type: "collection", placeholder: "Add Field", default: {}, options });
  }
  const sent = fields.map(({ name, place }) => ({
    name,
    place,
    shown: visible.some((field) => field.name === name),
    type: property(
      document,
      fields.find((field) => field.name === name),
    ).type,
  }));
  return { operation: { method, path, lists, ends, fields: sent }, shown: properties };
}

function parameters({ parameters = [] }) {
  return parameters.map(({ name, in: place, required, schema, description }) => ({
    name,
    place,
    required,
    schema: { ...schema, description },
  }));
}

function members(document, { requestBody }) {
  const reference = requestBody?.content["application/json"].schema;
  if (!reference) return [];
  const { properties, required = [] } = resolve(document, reference);
  const entries = Object.entries(properties);
  return entries.map(([name, schema]) => ({ name, place: "body", required: required.includes(name), schema }));
}

/** Return the n8n property for a field. Objects and lists of objects are JSON. */
function property(document, { name, schema }) {
  const known = schema.anyOf?.find(({ type }) => type !== "null") ?? schema;
  const found = { ...resolve(document, known), description: schema.description ?? known.description };
  const base = { name, displayName: title(name), ...(found.description && { description: found.description }) };
  const given = schema["x-default"] ?? schema.default;
  if (found.enum)
    return {
      ...base,
      type: "options",
      options: found.enum.map((value) => option(value)),
      default: given ?? found.enum[0],
    };
  switch (found.type) {
    case "boolean":
      return { ...base, type: "boolean", default: given ?? false };
    case "integer":
    case "number": {
      const { minimum: minValue, maximum: maxValue } = found;
      const numberPrecision = found.type === "integer" ? 0 : 3;
      return { ...base, type: "number", typeOptions: { minValue, maxValue, numberPrecision }, default: given ?? 0 };
    }
    case "string":
      return { ...base, type: found.format === "date-time" ? "dateTime" : "string", default: given ?? "" };
    case "array":
      if (found.items.type === "string") {
        return { ...base, type: "string", typeOptions: { multipleValues: true }, default: [] };
      }
  }
  return { ...base, type: "json", default: found.type === "array" ? "[]" : "{}" };
}

function resolve(document, schema) {
  return schema.$ref ? document.components.schemas[schema.$ref.split("/").at(-1)] : schema;
}

function choice(name, displayName, options) {
  const offered = options.map((each) => (typeof each === "string" ? option(each) : each));
  return { name, displayName, type: "options", noDataExpression: true, options: offered, default: offered[0].value };
}

function option(value, action) {
  return { name: title(value), value, ...(action && { action, description: action }) };
}

/** Return a name as n8n shows it: `Start Seconds` for `start_seconds`. */
function title(name) {
  return name
    .replace(/_/g, " ")
    .replace(/\b[a-z]/g, (letter) => letter.toUpperCase())
    .replace(/\b(Id|Url)\b/g, (word) => word.toUpperCase())
    .replace(/^Q$/, "Search");
}

const LIST_PROPERTIES = [
  {
    name: "returnAll",
    displayName: "Return All",
    type: "boolean",
    default: false,
    description: "Whether to return all results or only up to a given limit",
  },
  {
    name: "limit",
    displayName: "Limit",
    type: "number",
    typeOptions: { minValue: 1 },
    default: 50,
    description: "Max number of results to return",
  },
];

function waitProperties(byDefault) {
  const wait = {
    name: "wait",
    displayName: "Wait for the End",
    type: "boolean",
    default: byDefault,
    description: "Whether to wait until it is complete. The node fails if it failed.",
  };
  const timeout = {
    name: "timeout",
    displayName: "Timeout (Seconds)",
    type: "number",
    typeOptions: { minValue: 1 },
    default: 600,
    description: "How long to wait. It continues after that.",
  };
  return [wait, timeout];
}
