// Uses the built package against a real server, compiled with `tsc --strict` and run by Node.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, openAsBlob, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import {
  ApiError,
  Client,
  type Clip,
  FileChanged,
  NotClipengine,
  raiseForError,
  ServerUnreachable,
  SignatureInvalid,
  verifyWebhook,
  type WebhookEvent,
  WaitTimeout,
} from "clipengine-client";

const [baseUrl, film] = process.argv.slice(2) as [string, string];
const apiKey = process.env.CLIPENGINE_API_KEY!;
const client = new Client({ baseUrl, apiKey });

async function serve(listener: RequestListener): Promise<{ url: string; close: () => void }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

/** A proxy that forwards each request, and breaks the connection instead of the first answers to each method. */
async function lossyProxy(losses: number) {
  const requests: Record<string, number> = {};
  const proxy = await serve(async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const method = incoming.method!;
    const body = method === "GET" ? null : Buffer.concat(chunks);
    const answer = await fetch(`${baseUrl}${incoming.url}`, {
      method,
      body,
      headers: new Headers(incoming.headers as Record<string, string>),
    });
    requests[method] = (requests[method] ?? 0) + 1;
    if (requests[method] <= losses) return incoming.socket.destroy();
    outgoing.writeHead(answer.status, { "Content-Type": answer.headers.get("content-type") ?? "" });
    outgoing.end(await answer.text());
  });
  return { ...proxy, requests };
}

/** A proxy that breaks the connection each time when so many bytes have been sent over it, `cuts` times. */
async function cuttingProxy(bytes: number, cuts: number) {
  const { hostname, port } = new URL(baseUrl);
  const server = createTcpServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
    upstream.pipe(client);
    client.pipe(upstream);
    let received = 0;
    client.on("data", (chunk) => {
      received += chunk.length;
      if (received > bytes && cuts-- > 0) client.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

async function interruptedUpload(folder: string) {
  const path = `${folder}/long.mp4`;
  writeFileSync(path, Buffer.alloc(40 * 2 ** 20, "moov"));
  const proxy = await cuttingProxy(10 * 2 ** 20, 3);
  const cut = new Client({ baseUrl: proxy.url, apiKey });
  const moves: number[] = [];
  const onProgress = (done: number) => moves.push(done);
  const options = { name: "böse.mp4", recording: { tags: ["long"] }, idempotencyKey: "long-1", onProgress };
  const made = await cut.upload(await openAsBlob(path), options);
  assert.deepEqual([made.name, made.tags, made.file_size_bytes], ["böse.mp4", ["long"], 40 * 2 ** 20]);
  assert.deepEqual([moves.length > 3, moves.at(-1)], [true, 40 * 2 ** 20]);
  assert.equal((await client.upload(await openAsBlob(path), options)).recording_id, made.recording_id);
  proxy.close();
  const before = await openAsBlob(path);
  appendFileSync(path, "more");
  await rejected(client.upload(before, { name: "changed.mp4" }), FileChanged);
}

/** Parts go to the store, without the key; one that it refuses for long goes through the server. */
async function directUpload() {
  const [size, part] = [17 * 2 ** 20, 6 * 2 ** 20];
  const stored = new Map<number, number>();
  const sent: string[] = [];
  const server = await serve(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const [body, path] = [Buffer.concat(chunks), request.url!];
    const answer = (status: number, value: object) => {
      const headers = { "Content-Type": "application/json", "Upload-Offset": String(offset()) };
      response.writeHead(status, headers).end(JSON.stringify(value));
    };
    const offset = () => (stored.has(1) ? (stored.has(2) ? (stored.has(3) ? size : 2 * part) : part) : 0);
    const state = () => ({
      ...{ upload_id: "upl_1", offset: offset(), size_bytes: size, part_bytes: part },
      recording_id: offset() === size ? "rec_1" : null,
    });
    if (path.startsWith("/bucket/")) {
      assert.equal(request.headers.authorization, undefined);
      const number = Number(path.slice(-1));
      sent.push(`PUT ${number}`);
      if (number !== 2) stored.set(number, body.length);
      response.writeHead(number === 2 ? 403 : 200).end();
    } else if (path.endsWith("/parts")) {
      const { numbers } = JSON.parse(body.toString()) as { numbers: number[] };
      const url = (number: number) => (stored.has(number) ? null : `${server.url}/bucket/${number}`);
      answer(200, { part_bytes: part, data: numbers.map((number) => ({ number, url: url(number) })) });
    } else if (request.method === "PATCH") {
      sent.push(`PATCH ${request.headers["upload-offset"]}`);
      stored.set(2, body.length);
      answer(200, {});
    } else answer(200, path.startsWith("/v1/uploads") ? state() : { recording_id: "rec_1" });
  });
  const direct = new Client({ baseUrl: server.url, apiKey });
  const made = await direct.upload(new Uint8Array(size), { name: "direct.mp4" });
  assert.equal(made.recording_id, "rec_1");
  assert.deepEqual(sent.sort(), [`PATCH ${part}`, "PUT 1", "PUT 2", "PUT 2", "PUT 2", "PUT 3"]);
  assert.deepEqual([stored.get(1), stored.get(2), stored.get(3)], [part, part, size - 2 * part]);
  server.close();
}

async function receiver() {
  type Received = { body: Buffer; headers: IncomingHttpHeaders };
  let receive: (received: Received) => void;
  const first = new Promise<Received>((resolve) => (receive = resolve));
  const server = await serve(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    response.writeHead(204).end();
    receive({ body: Buffer.concat(chunks), headers: request.headers });
  });
  return { ...server, first };
}

async function rejected<E extends Error>(call: Promise<unknown>, type: new (...given: never[]) => E): Promise<E> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof type, String(error));
    return error;
  }
  throw new Error(`${type.name} was not thrown`);
}

function subject(event: WebhookEvent): string {
  switch (event.event) {
    case "clip.ready":
      return event.data.share_url ?? event.data.clip_id;
    case "clip.failed":
      return event.data.error?.message ?? "";
    case "recording.complete":
      return event.data.recording_id;
    default:
      return event.id;
  }
}

async function signedWebhooks(clip: Clip, secret: string, received: { body: Buffer; headers: IncomingHttpHeaders }) {
  const { body, headers } = received;
  const event = await verifyWebhook(body, headers, secret);
  assert.equal(subject(event), clip.clip_id);
  assert.equal(event.id, headers["webhook-id"]);
  const relay = { "X-Relay-Signature": headers["x-relay-signature"] as string };
  const standard = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("webhook-")));
  assert.deepEqual(await verifyWebhook(body.toString(), relay, secret), event);
  assert.deepEqual(await verifyWebhook(new Uint8Array(body), new Headers(relay), secret), event);
  assert.deepEqual(await verifyWebhook(body, standard, secret), event);
  const old = { ...standard, "webhook-timestamp": String(Number(standard["webhook-timestamp"]) - 301) };
  const rotated = { ...standard, "webhook-signature": `v1,${"A".repeat(43)}= ${standard["webhook-signature"]}` };
  assert.deepEqual(await verifyWebhook(body, rotated, secret), event);
  const many = { ...standard, "webhook-signature": `${"v1,x ".repeat(10)}${standard["webhook-signature"]}` };
  for (const [given, having, by] of [
    [body.toString() + " ", relay, secret],
    [body.toString() + " ", standard, secret],
    [body, old, secret],
    [body, many, secret],
    [body, { ...standard, "webhook-timestamp": "soon" }, secret],
    [body, { ...standard, "webhook-id": "evt_other" }, secret],
    [body, { ...relay, "webhook-signature": "v1,x" }, secret],
    [body, { "X-Relay-Signature": relay["X-Relay-Signature"].toUpperCase() + "00" }, secret],
    [body, {}, secret],
    [body, headers, "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="],
    [body, headers, "whsec_*"],
    [new Uint8Array(2 * 1024 * 1024 + 1), headers, secret],
  ] as const) {
    await rejected(verifyWebhook(given, having, by), SignatureInvalid);
  }
}

async function errors(recordingId: string) {
  const late = { label: "late", start_seconds: 3600, end_seconds: 3610, priority: 11 };
  const error = await rejected(client.createClip(recordingId, late), ApiError);
  assert.equal(error.status, 422);
  assert.equal(error.code, "invalid_request");
  assert.ok(error.hint && error.requestId);
  assert.deepEqual(
    error.errors.map(({ pointer }) => pointer),
    ["/priority"],
  );
  const missing = await rejected(client.waitForClip("clip_x"), ApiError);
  assert.equal(missing.code, "clip_not_found");
  assert.equal((await rejected(new Client({ baseUrl }).GET("/v1/clips"), ApiError)).status, 401);
  const stale = client.PUT("/v1/recordings/{recording_id}/transcripts/{language}", {
    params: { path: { recording_id: recordingId, language: "en" }, header: { "If-Match": '"trn_replaced"' } },
    body: [{ start_seconds: 1, end_seconds: 2, text: "Good morning." }],
  });
  assert.equal((await rejected(stale, ApiError)).code, "transcript_changed");
  const closed = await serve(() => {});
  closed.close();
  const nowhere = new Client({ baseUrl: closed.url, retries: 0 });
  assert.match((await rejected(nowhere.GET("/v1/clips"), ServerUnreachable)).message, /ECONNREFUSED/);
  await rejected(nowhere.waitForClip("clip_x", { patienceSeconds: 0 }), ServerUnreachable);
  assert.throws(() => new Client({ baseUrl: "127.0.0.1:8377" }), /must begin with http/);
  const slow = await serve(() => {});
  const timed = await rejected(
    new Client({ baseUrl: slow.url, retries: 0, timeoutSeconds: 0.2 }).GET("/v1/clips"),
    ServerUnreachable,
  );
  assert.match(timed.message, /no response within 0.2 s/);
  const patient = new Client({ baseUrl: slow.url, retries: 0 });
  await rejected(patient.GET("/v1/clips", { timeoutSeconds: 0.2 }), ServerUnreachable);
  slow.close();
  const page = await serve((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>"));
  await rejected(new Client({ baseUrl: page.url }).GET("/v1/clips"), NotClipengine);
  page.close();
  const other = await serve((_, response) => response.writeHead(401).end("no"));
  await rejected(new Client({ baseUrl: other.url }).GET("/v1/clips"), NotClipengine);
  other.close();
  for (const end of ["/", "/v1", "//v1/"]) {
    const listed = await new Client({ baseUrl: baseUrl + end, apiKey }).GET("/v1/clips");
    assert.ok(Array.isArray(listed.data));
  }
  assert.match((await rejected(client.waitForClip(""), TypeError)).message, /clip_id is empty/);
  assert.match((await rejected(client.createClip("", late), TypeError)).message, /recording_id is empty/);
  for (const secret of ["", "whsec_"])
    assert.match((await rejected(verifyWebhook("{}", {}, secret), TypeError)).message, /secret is empty/);
}

async function brokenConnections(recordingId: string) {
  const proxy = await lossyProxy(2);
  const lossy = new Client({ baseUrl: proxy.url, apiKey });
  const created = await lossy.createClip(recordingId, { label: "once", start_seconds: 0, end_seconds: 1 });
  assert.equal(proxy.requests.POST, 3);
  const impatient = new Client({ baseUrl: proxy.url, apiKey, retries: 0 });
  const states: string[] = [];
  const clip = await impatient.waitForClip(created.clip_id, { onProgress: ({ status }) => states.push(status) });
  assert.equal(clip.status, "complete");
  assert.equal(states.at(-1), "complete");
  proxy.close();
  // One request per page. The clip exists once, although its request was received three times.
  const params = { path: { recording_id: recordingId }, query: { status: "complete", limit: 1 } } as const;
  const labels = [];
  for await (const { label } of client.each("/v1/recordings/{recording_id}/clips", { params })) labels.push(label);
  assert.deepEqual(labels, ["once", "key-moment"]);
  const tagged = [];
  const query = { metadata: { case: "4711" } };
  for await (const { label } of client.each("/v1/clips", { params: { query } })) tagged.push(label);
  assert.deepEqual(tagged, ["key-moment"]);
}

async function endOfWaiting(recordingId: string) {
  const later = { label: "slow", start_seconds: 0, end_seconds: 8, profile: "slow" };
  const clip = await client.createClip(recordingId, later, { idempotencyKey: "slow-1" });
  assert.equal((await client.createClip(recordingId, later, { idempotencyKey: "slow-1" })).clip_id, clip.clip_id);
  await rejected(client.waitForClip(clip.clip_id, { timeoutSeconds: 0.1 }), WaitTimeout);
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("enough")), 100);
  assert.equal((await rejected(client.waitForClip(clip.clip_id, { signal: stop.signal }), Error)).message, "enough");
  const cancelled = await client.POST("/v1/clips/{clip_id}/cancel", { params: { path: { clip_id: clip.clip_id } } });
  const failed = await client.waitForClip(cancelled.clip_id);
  assert.throws(() => raiseForError(failed), { name: "JobFailed", code: "cancelled", retryable: true });
}

const hook = await receiver();
const webhook = await client.POST("/v1/webhooks", { body: { url: `${hook.url}/hook` } });
const file = await openAsBlob(film);
const uploaded = await client.upload(file, { name: "meeting.mp4" });
const recording = raiseForError(await client.waitForRecording(uploaded.recording_id));
assert.equal(recording.file_size_bytes, file.size);
await interruptedUpload(".");
await directUpload();
const streamed = await client.upload(file.stream() as ReadableStream<Uint8Array>, { name: "stream.mp4" });
assert.equal(streamed.file_size_bytes, file.size);
const whole = await client.downloadRecording(streamed.recording_id);
assert.deepEqual(await whole.arrayBuffer(), await file.arrayBuffer());

const request = { label: "key-moment", start_seconds: 1, end_seconds: 2.5, metadata: { case: "4711" } };
const created = await client.createClip(recording.recording_id, request);
const clip = raiseForError(await client.waitForClip(created.clip_id, { timeoutSeconds: 120 }));
const content = new Uint8Array(await (await client.downloadClip(clip.clip_id)).arrayBuffer());
assert.equal(createHash("sha256").update(content).digest("hex"), clip.result?.sha256);
const part = await client.downloadClip(clip.clip_id, { range: "bytes=0-99" });
assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength], [206, 100]);
const params = { path: { clip_id: clip.clip_id } };
const poster: Blob = await client.GET("/v1/clips/{clip_id}/poster", { params, parseAs: "blob" });
assert.equal(poster.type, "image/jpeg");
// @ts-expect-error - the keys of an object are known
assert.equal(clip.clip_idd, undefined);
if (clip.clip_id === "") {
  // @ts-expect-error - a path that does not exist
  await client.GET("/v1/clip");
  // @ts-expect-error - a parameter of the path is missing
  await client.GET("/v1/clips/{clip_id}");
  // @ts-expect-error - an unknown parameter of the query
  await client.GET("/v1/clips", { params: { query: { state: "complete" } } });
  // @ts-expect-error - an unknown value
  await client.createClip("", { label: "", render: "fast" });
}

await signedWebhooks(clip, webhook.secret, await hook.first);
assert.equal(await client.DELETE("/v1/webhooks/{webhook_id}", { params: { path: webhook } }), undefined);
hook.close();
await errors(recording.recording_id);
await brokenConnections(recording.recording_id);
await endOfWaiting(recording.recording_id);
console.log("done");
