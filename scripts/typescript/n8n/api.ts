/** Requests of the nodes: errors of the API, pages, and waiting for the end of a clip or a recording. */
import type { IDataObject, IExecuteFunctions, IHookFunctions, JsonObject } from "n8n-workflow";
import { NodeApiError, NodeOperationError, sleep } from "n8n-workflow";
import type { ApiRequest } from "./operation";

const MAX_WAIT = 25; // seconds of one `?wait=`, less than the usual timeout of proxies
const PAGE = 100;
const RETRYABLE_STATUSES = ["429", "500", "502", "503", "504"];
const RETRY_MS = 2000;

type Functions = IExecuteFunctions | IHookFunctions;

/** Send a request and return the JSON of its response. Throws NodeApiError with the detail and the hint of the API. */
export async function send(
  this: Functions,
  { method, path, query = [], body, headers = {} }: ApiRequest,
): Promise<IDataObject> {
  const { baseUrl } = await this.getCredentials<{ baseUrl: string }>("clipengineApi");
  const search = new URLSearchParams(query).toString();
  const url = baseUrl.replace(/\/+$/, "") + path + (search && `?${search}`);
  // As text, because n8n does not send an object without members.
  const content = body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
  const options = { method, url, ...content, json: true, returnFullResponse: true, ignoreHttpStatusErrors: true };
  const response = await this.helpers.httpRequestWithAuthentication.call(this, "clipengineApi", options);
  if (response.statusCode < 400) {
    if (typeof response.body === "object" || !response.body) return response.body || {};
    const description = "Check the base URL of the credentials.";
    throw new NodeOperationError(this.getNode(), "The response is not from clipengine", { description });
  }
  const problem: JsonObject = typeof response.body === "object" && response.body ? response.body : {};
  throw new NodeApiError(this.getNode(), problem, {
    message: String(problem.detail ?? `The server answered ${response.statusCode}`),
    description: [problem.code, problem.hint].filter(Boolean).join(": "),
    httpCode: String(response.statusCode),
  });
}

/** Return the objects of a list, at most `limit`. */
export async function sendAll(this: Functions, request: ApiRequest, limit: number): Promise<IDataObject[]> {
  const found: IDataObject[] = [];
  for (let cursor: unknown = null; ; ) {
    const size = String(Math.min(PAGE, limit - found.length));
    const query = [...(request.query ?? []), ["limit", size], ...(cursor ? [["cursor", String(cursor)]] : [])];
    const page = await send.call(this, { ...request, query });
    found.push(...(page.data as IDataObject[]));
    cursor = page.next_cursor;
    if (!cursor || found.length >= limit) return found;
  }
}

/** Wait until a clip or a recording has ended and return it. Broken connections are not its end. */
export async function waitUntilEnded(
  this: IExecuteFunctions,
  job: IDataObject,
  seconds: number,
  item: number,
): Promise<IDataObject> {
  const path = job.clip_id ? `/v1/clips/${job.clip_id}` : `/v1/recordings/${job.recording_id}`;
  const deadline = Date.now() + seconds * 1000;
  for (let left = seconds; job.status === "processing"; left = (deadline - Date.now()) / 1000) {
    if (left <= 0)
      throw new NodeOperationError(this.getNode(), `It did not end within ${seconds} seconds`, { itemIndex: item });
    try {
      job = await send.call(this, { method: "GET", path, query: [["wait", String(Math.min(MAX_WAIT, left))]] });
    } catch (error) {
      if (error instanceof NodeApiError && !RETRYABLE_STATUSES.includes(error.httpCode ?? "")) throw error;
      await sleep(Math.min(RETRY_MS, left * 1000));
    }
  }
  const failure = job.error as IDataObject | null;
  if (!failure) return job;
  const details = { itemIndex: item, description: `${failure.code}: ${failure.hint}` };
  throw new NodeOperationError(this.getNode(), String(failure.message), details);
}
