// Generates the table of routes that the client needs beside the types.

/** Return the module with the routes that create something once per `Idempotency-Key`. */
export function routesModule(document) {
  const found = [];
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      if (parameters.some(({ name }) => name === "Idempotency-Key")) found.push(`${method.toUpperCase()} ${path}`);
    }
  }
  return `/** Routes with an Idempotency-Key. */\nexport const CREATING: ReadonlySet<string> = new Set(${JSON.stringify(found, null, 2)});\n`;
}
