// Builds the npm packages: `node build.mjs OPENAPI OUT [clipengine-client | n8n-nodes-clipengine]`.
//
// The types and the tables of routes are generated from the OpenAPI document into a copy of the sources, which is
// compiled there. A package has the version of the document.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import openapiTypes, { astToString } from "openapi-typescript";
import { fieldsModule } from "./n8n/fields.mjs";
import { routesModule } from "./routes.mjs";

const SOURCES = dirname(fileURLToPath(import.meta.url));
// Where each package has its sources, its compiled files and its icon.
const PACKAGES = {
  "clipengine-client": { sources: "client", compiled: "." },
  "n8n-nodes-clipengine": { sources: "n8n", compiled: "dist", icon: "dist/n8n/clipengine.svg" },
};

async function build(document, out, names) {
  const stage = mkdtempSync(join(tmpdir(), "clipengine-client-"));
  try {
    for (const name of ["client", "n8n"]) cpSync(join(SOURCES, name), join(stage, name), { recursive: true });
    cpSync(join(SOURCES, "package.json"), join(stage, "package.json"));
    symlinkSync(join(SOURCES, "node_modules"), join(stage, "node_modules"));
    mkdirSync(join(stage, "generated"));
    const generated = {
      "api.ts": astToString(await openapiTypes(document)),
      "routes.ts": routesModule(document),
      "fields.ts": fieldsModule(document),
    };
    for (const [name, text] of Object.entries(generated)) writeFileSync(join(stage, "generated", name), text);
    for (const name of names) pack(name, stage, join(out, name), document.info);
  } finally {
    rmSync(stage, { recursive: true });
  }
}

/** Compile a package and write it to a folder. */
function pack(name, stage, folder, { version }) {
  const { sources, compiled, icon } = PACKAGES[name];
  rmSync(folder, { recursive: true, force: true });
  run("tsc", "--project", join(stage, sources), "--outDir", join(folder, compiled));
  const described = JSON.parse(readFileSync(join(stage, sources, "package.json"), "utf8"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...described, version }, null, 2) + "\n");
  cpSync(join(stage, sources, "README.md"), join(folder, "README.md"));
  cpSync(join(SOURCES, "../../LICENSE"), join(folder, "LICENSE"));
  if (icon) cpSync(join(SOURCES, "../../clipengine/web/mark.svg"), join(folder, icon));
}

function run(program, ...options) {
  const { status } = spawnSync(join(SOURCES, "node_modules/.bin", program), options, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${program} failed`); // not exit, which would leave the copy of the sources
}

const [documentFile, out, ...names] = process.argv.slice(2);
await build(JSON.parse(readFileSync(documentFile, "utf8")), out, names.length ? names : Object.keys(PACKAGES));
