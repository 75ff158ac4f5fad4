/** Long polling for the end of a clip or a recording. */
import { ApiError, ServerUnreachable, WaitTimeout } from "./errors.js";
import { sleep } from "./platform.js";
import { RETRYABLE_STATUSES, retryDelay } from "./retry.js";

const MAX_WAIT = 25; // seconds of one `?wait=`, less than the usual timeout of proxies
const PROGRESS_SECONDS = 0.5;

export interface WaitOptions<Job> {
  /** Seconds after which `WaitTimeout` is thrown. Default: none. */
  timeoutSeconds?: number;
  /** Seconds without a response after which the last error is thrown. Default: 300. */
  patienceSeconds?: number;
  signal?: AbortSignal;
  /** Called with the current state twice a second. */
  onProgress?: (job: Job) => void;
}

/** Call `get` with the seconds of `?wait=` until the job has ended. Broken connections are not its end. */
export async function waitUntilEnded<Job extends { status: string }>(
  id: string,
  get: (seconds: number) => Promise<Job>,
  { timeoutSeconds = Infinity, patienceSeconds = 300, signal, onProgress }: WaitOptions<Job>,
): Promise<Job> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  let answered = performance.now();
  for (let failures = 0; ; ) {
    const left = Math.max(0, Math.min(MAX_WAIT, (deadline - performance.now()) / 1000));
    try {
      const job = await get(Number((onProgress ? Math.min(left, PROGRESS_SECONDS) : left).toFixed(3)));
      [answered, failures] = [performance.now(), 0];
      onProgress?.(job);
      if (job.status !== "processing") return job;
    } catch (error) {
      if (!passes(error) || performance.now() - answered >= patienceSeconds * 1000) throw error;
      await sleep(Math.min(retryDelay(failures++), left), signal);
    }
    if (performance.now() >= deadline) throw new WaitTimeout(id, timeoutSeconds);
  }
}

function passes(error: unknown): boolean {
  return error instanceof ServerUnreachable || (error instanceof ApiError && RETRYABLE_STATUSES.includes(error.status));
}
