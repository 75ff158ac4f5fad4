// Runs the built n8n nodes as n8n does, over real HTTP against a real server, without n8n itself.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { NodeApiError, NodeHelpers, NodeOperationError } = require("n8n-workflow");
const { n8n: declared } = require("n8n-nodes-clipengine/package.json");
const load = (file) => new (Object.values(require(`n8n-nodes-clipengine/${file}`))[0])();
const [clipengine, trigger] = declared.nodes.map(load);
const [credentialType] = declared.credentials.map(load);

const [baseUrl, film] = process.argv.slice(2);
const credentials = { baseUrl, apiKey: process.env.CLIPENGINE_API_KEY };

/** Evaluate an expression with credentials, the only ones of the package. */
const evaluate = (text) =>
  text.replace(/^=/, "").replace(/\{\{\$credentials\.(\w+)\}\}/g, (_, name) => credentials[name]);

/** n8n's `httpRequestWithAuthentication`, with the `authenticate` of the credentials. */
async function httpRequestWithAuthentication(
  type,
  { method = "GET", url, body, headers, returnFullResponse, ignoreHttpStatusErrors },
) {
  assert.equal(type, credentialType.name);
  const signed = Object.entries(credentialType.authenticate.properties.headers).map(([name, text]) => [
    name,
    evaluate(text),
  ]);
  const content = typeof body === "string" ? { body } : {}; // n8n does not send an empty object
  const sent = { ...headers, "Content-Type": "application/json", ...Object.fromEntries(signed) };
  const response = await fetch(url, { method, headers: sent, ...content });
  assert.ok(returnFullResponse && ignoreHttpStatusErrors);
  const text = await response.text();
  const json = /json/.test(response.headers.get("content-type"));
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body: json ? JSON.parse(text) : text,
  };
}

/** The functions that n8n binds to every node. Parameters have the defaults of the node's description. */
function functions(type, given) {
  const { description } = type;
  const node = {
    id: "node-1",
    name: description.displayName,
    type: description.name,
    typeVersion: 1,
    position: [0, 0],
    parameters: given,
  };
  const parameters = NodeHelpers.getNodeParameters(description.properties, given, true, false, node, description);
  assert.equal(NodeHelpers.getNodeParametersIssues(description.properties, { ...node, parameters }, description), null);
  return {
    getNode: () => node,
    getCredentials: async () => credentials,
    getTimezone: () => "Europe/Berlin",
    getExecutionId: () => "231",
    helpers: {
      httpRequestWithAuthentication,
      returnJsonArray: (json) => [json].flat().map((each) => ({ json: each })),
    },
    parameter: (name, fallback) => {
      const value = parameters[name] ?? fallback;
      assert.notEqual(value, undefined, `no parameter ${name}`);
      return value;
    },
  };
}

async function execute(resource, operation, given = {}, { runIndex = 0, continues = false } = {}) {
  const bound = functions(clipengine, { resource, operation, ...given });
  const [results] = await clipengine.execute.call({
    ...bound,
    getInputData: () => [{ json: {} }],
    getNodeParameter: (name, _item, fallback) => bound.parameter(name, fallback),
    getWorkflowDataProxy: () => ({ $runIndex: runIndex }),
    continueOnFail: () => continues,
  });
  assert.ok(results.every(({ pairedItem }) => pairedItem.item === 0));
  return results.map(({ json }) => json);
}

async function serve(respond) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    await respond(Object.assign(request, { rawBody: Buffer.concat(chunks) }), response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const api = async (method, path, body) => {
  const response = await httpRequestWithAuthentication("clipengineApi", {
    method,
    url: baseUrl + path,
    body,
    returnFullResponse: true,
    ignoreHttpStatusErrors: true,
  });
  return response.body;
};

async function recordings() {
  const headers = { Authorization: `Bearer ${credentials.apiKey}` };
  const upload = { method: "PUT", body: readFileSync(film), headers };
  const uploaded = await (await fetch(`${baseUrl}/v1/recordings/upload?name=meeting.mp4`, upload)).json();
  const [byKey] = await execute("recording", "add", { bucket_path: uploaded.bucket_path });
  assert.deepEqual([byKey.recording_id, byKey.status], [uploaded.recording_id, "complete"]);
  const files = await serve((_request, response) => response.end(readFileSync(film)));
  const [byUrl] = await execute("recording", "add", {
    url: `${files.url}/fetched.mp4`,
    more: { name: "fetched", tags: ["far"] },
  });
  files.close();
  assert.deepEqual([byUrl.status, byUrl.name, byUrl.tags], ["complete", "fetched", ["far"]]);
  const [again] = await execute("recording", "get", { recording_id: byUrl.recording_id });
  assert.deepEqual(again, byUrl);
  const listed = await execute("recording", "list", { more: { tag: ["far"] } });
  assert.deepEqual(listed, [byUrl]);
  assert.equal((await execute("recording", "list", { limit: 1 })).length, 1);
  return byKey.recording_id;
}

/** A trigger as n8n activates it, with a receiver that passes each request to `webhook`. */
async function activated(given) {
  const received = [];
  const stored = {};
  let arrive;
  const arrival = new Promise((resolve) => (arrive = resolve));
  const bound = { ...functions(trigger, given), getWorkflowStaticData: () => stored };
  const deliver = async (headers, rawBody) => {
    let status = 200;
    const response = {
      status: (given) => {
        status = given;
        return response;
      },
      send: () => response,
    };
    const context = {
      getRequestObject: () => ({ rawBody }),
      getHeaderData: () => headers,
      getResponseObject: () => response,
    };
    const { workflowData } = await trigger.webhook.call({ ...bound, ...context });
    const events = workflowData ? workflowData[0].map(({ json }) => json) : [];
    received.push(...events);
    return { status, events: events.length };
  };
  const server = await serve(async (request, response) => {
    response.writeHead((await deliver(request.headers, request.rawBody)).status).end();
    arrive(request);
  });
  const url = `${server.url}/webhook/1/webhook`;
  const hook = { ...bound, getNodeWebhookUrl: () => url, getNodeParameter: bound.parameter };
  const [methods] = Object.values(trigger.webhookMethods);
  const call = (name) => methods[name].call(hook);
  return { call, stored, received, arrival, deliver, close: server.close };
}

async function clips(recordingId) {
  const range = { recording_id: recordingId, start_seconds: 1, end_seconds: 2.5 };
  const more = {
    metadata: '{"case": "n8n"}',
    tags: ["league"],
    expires_at: "2035-01-31T12:00:00",
    output: '{"aspect": "9:16"}',
    priority: 3,
    poster: false,
  };
  const [clip] = await execute("clip", "create", { ...range, label: "key-moment", more });
  assert.equal(clip.status, "complete");
  assert.deepEqual([clip.metadata, clip.tags, clip.priority], [{ case: "n8n" }, ["league"], 3]);
  assert.equal(clip.expires_at, "2035-01-31T11:00:00.000Z"); // noon in the time zone of the workflow
  assert.equal(clip.result.poster_path, null);
  const parts = JSON.stringify([
    { start_seconds: 0, end_seconds: 1 },
    { start_seconds: 4, end_seconds: 5 },
  ]);
  const joined = { recording_id: recordingId, label: "joined", more: { parts }, wait: false };
  const [once] = await execute("clip", "create", joined);
  assert.equal((await execute("clip", "create", joined))[0].clip_id, once.clip_id); // a retry by n8n
  const [other] = await execute("clip", "create", joined, { runIndex: 1 });
  assert.notEqual(other.clip_id, once.clip_id);
  assert.equal((await execute("clip", "get", { clip_id: once.clip_id, wait: true }))[0].result.parts.length, 2);
  const listed = await execute("clip", "list", {
    returnAll: true,
    more: { metadata: '{"case": "n8n"}', status: "complete" },
  });
  assert.deepEqual(listed, [clip]);
  assert.equal((await execute("clip", "share", { clip_id: clip.clip_id }))[0].download, true);
  const [share] = await execute("clip", "share", { clip_id: clip.clip_id, more: { download: false } });
  assert.deepEqual([share.clip_id, share.download], [clip.clip_id, false]);
  assert.match(share.url, /\/s\//);
  return clip;
}

async function failures(recordingId) {
  const late = { recording_id: recordingId, label: "late", start_seconds: 3600, end_seconds: 3610 };
  await assert.rejects(execute("clip", "create", late), (error) => {
    assert.ok(error instanceof NodeApiError);
    assert.deepEqual([error.httpCode, error.context.itemIndex], ["422", 0]);
    return /^invalid_time_range: ./.test(error.description);
  });
  const [{ error }] = await execute("clip", "create", late, { continues: true });
  assert.match(error, /end_seconds/);
  const wrong = { ...late, more: { output: "{" } };
  await assert.rejects(
    execute("clip", "create", wrong),
    (error) => error instanceof NodeOperationError && /output must be JSON/.test(error.message),
  );
  const slow = { ...late, label: "slow", start_seconds: 0, end_seconds: 8, more: { profile: "slow" } };
  const impatient = execute("clip", "create", { ...slow, timeout: 1 });
  await assert.rejects(
    impatient,
    (error) => error instanceof NodeOperationError && /did not end within 1 seconds/.test(error.message),
  );
  const [queued] = await execute("clip", "create", { ...slow, wait: false });
  await api("POST", `/v1/clips/${queued.clip_id}/cancel`);
  const failed = execute("clip", "get", { clip_id: queued.clip_id, wait: true });
  await assert.rejects(
    failed,
    (error) => error instanceof NodeOperationError && /^cancelled: ./.test(error.description),
  );
}

const { request } = credentialType.test;
const headers = { Authorization: `Bearer ${credentials.apiKey}` };
assert.equal((await fetch(evaluate(request.baseURL) + request.url, { headers })).status, 200);

const page = await serve((_request, response) => response.end("<html>"));
credentials.baseUrl = page.url;
await assert.rejects(execute("clip", "list"), /not from clipengine/);
credentials.baseUrl = `${baseUrl}/`;
page.close();

const recordingId = await recordings();
const active = await activated({ events: ["clip.ready"] });
assert.equal(await active.call("checkExists"), false);
assert.equal(await active.call("create"), true);
assert.equal(await active.call("checkExists"), true);
const { webhookId } = active.stored;
assert.deepEqual((await api("GET", `/v1/webhooks/${webhookId}`)).events, ["clip.ready"]);

const clip = await clips(recordingId);
const { headers: signed, rawBody } = await active.arrival;
assert.equal(active.received[0].event, "clip.ready");
assert.equal(active.received[0].data.clip_id, clip.clip_id);
const refused = { status: 401, events: 0 };
assert.deepEqual(await active.deliver(signed, Buffer.concat([rawBody, Buffer.from(" ")])), refused);
assert.deepEqual(await active.deliver(signed, undefined), refused);

await failures(recordingId);
assert.equal(await active.call("delete"), true);
assert.deepEqual(active.stored, {});
assert.equal((await api("GET", `/v1/webhooks/${webhookId}`)).code, "webhook_not_found");
await active.call("create");
await api("DELETE", `/v1/webhooks/${active.stored.webhookId}`);
assert.equal(await active.call("checkExists"), false);
active.close();
console.log("done");
