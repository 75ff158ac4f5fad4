/** Parts of the platform that Node 18 keeps elsewhere, and timers that can be aborted. */

/** Return WebCrypto. It is a global everywhere except in Node 18. */
export async function webCrypto(): Promise<Crypto> {
  const name = "node:crypto"; // in a variable, so that bundlers do not look for it
  return globalThis.crypto ?? ((await import(/* @vite-ignore */ name)) as { webcrypto: Crypto }).webcrypto;
}

/** Return a random key of 128 bits in hex. `crypto.randomUUID` is missing on pages without TLS. */
export async function randomKey(): Promise<string> {
  const bytes = (await webCrypto()).getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Wait. Throws the reason of the signal if it is aborted. */
export function sleep(seconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
