/**
 * `fetch` with a timeout and retries.
 *
 * GET requests, and requests with an `Idempotency-Key`, which take effect once, are repeated after a broken connection
 * and after a response with `Retry-After`.
 */
import { ServerUnreachable } from "./errors.js";
import { sleep } from "./platform.js";

type Fetch = (request: Request) => Promise<Response>;

const RETRY_DELAYS = [0.2, 0.6, 1.8]; // seconds; the last one repeats
export const RETRYABLE_STATUSES = [429, 500, 502, 503, 504]; // of calls that wait, and of uploads
const MAX_RETRY_AFTER = 30; // seconds; a longer Retry-After is not waited for

/** Return the seconds before the next of a series of attempts. */
export function retryDelay(count: number): number {
  return RETRY_DELAYS[Math.min(count, RETRY_DELAYS.length - 1)]!;
}

/** Return a `fetch` that sends a request up to `retries + 1` times. Throws `ServerUnreachable`. */
export function retrying(fetch: Fetch, retries: number, timeoutSeconds: number): Fetch {
  return async (request) => {
    const seconds = (request as { timeoutSeconds?: number }).timeoutSeconds ?? timeoutSeconds; // of this call
    const repeatable = request.method === "GET" || request.headers.has("Idempotency-Key");
    for (let count = 0; ; count++) {
      const last = !repeatable || count >= retries;
      let delay = retryDelay(count);
      try {
        const response = await attempt(fetch, last ? request : request.clone(), seconds);
        const retryAfter = secondsOf(response);
        if (response.ok || last || retryAfter === null) return response;
        await response.body?.cancel();
        delay = Math.max(delay, retryAfter);
      } catch (error) {
        if (last || !(error instanceof ServerUnreachable)) throw error;
      }
      await sleep(delay, request.signal);
    }
  };
}

/** Send a request once. JSON is read whole within the timeout; other bodies are left to the caller. */
async function attempt(fetch: Fetch, request: Request, timeoutSeconds: number): Promise<Response> {
  const waits = Number(new URL(request.url).searchParams.get("wait")) || 0;
  const stop = new AbortController();
  const abort = () => stop.abort(request.signal.reason);
  if (request.signal.aborted) abort();
  request.signal.addEventListener("abort", abort, { once: true });
  const timeout = new Error(`no response within ${timeoutSeconds} s`);
  const timer =
    Number.isFinite(timeoutSeconds) && setTimeout(() => stop.abort(timeout), (timeoutSeconds + waits) * 1000);
  try {
    const response = await fetch(new Request(request, { signal: stop.signal }));
    if (!/^application\/(problem\+)?json\b/.test(response.headers.get("content-type") ?? "")) return response;
    const { status, statusText, headers } = response;
    return new Response(await response.arrayBuffer(), { status, statusText, headers });
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason;
    throw new ServerUnreachable(new URL(request.url).origin, stop.signal.aborted ? timeout : error);
  } finally {
    if (timer) clearTimeout(timer);
  }
}

function secondsOf(response: Response): number | null {
  const text = response.headers.get("retry-after") ?? "";
  return /^[0-9]{1,4}$/.test(text) && Number(text) <= MAX_RETRY_AFTER ? Number(text) : null;
}
