// Parts of a file that go straight to the bucket, a few at a time, with links of the server. No DOM.

/** @import {Upload} from "./upload.js" */
/** @import {SendingCalls, SendingIO} from "./upload_sending.js" */

const AT_ONCE = 3;
const LINKS = 12; // of one request: slow connections send them before the links expire
const WAITS_MS = [1000, 4000]; // between tries of a part

/**
 * Send the parts that the store does not have. Return false if it does not take one, such as because it cannot be reached.
 *
 * @param {SendingIO} io
 * @param {Upload} upload
 * @param {File} file
 * @param {AbortSignal} until
 * @param {number} partBytes
 * @param {SendingCalls} calls
 */
export async function sendParts(io, upload, file, until, partBytes, calls) {
  const id = upload.id ?? "";
  const count = Math.ceil(file.size / partBytes);
  const bytesOf = (/** @type {number} */ number) => file.slice((number - 1) * partBytes, number * partBytes);
  const first = Math.floor(upload.state.peek().sent / partBytes) + 1;
  let stored = (first - 1) * partBytes;
  /** @type {Map<number, number>} bytes of parts that are on their way */
  const moving = new Map();
  const show = () => upload.set({sent: stored + [...moving.values()].reduce((sum, loaded) => sum + loaded, 0)});

  /** @type {Promise<unknown>} one request for links at a time: others would find the upload locked */
  let asked = Promise.resolve();
  const ask = (/** @type {number[]} */ numbers) => {
    const links = asked.catch(() => {}).then(() => io.links(id, numbers, until));
    asked = links;
    return links;
  };

  /** @param {UploadPart} part */
  const send = async ({number, size_bytes, url}) => {
    const onprogress = (/** @type {number} */ loaded) => {
      moving.set(number, loaded);
      show();
      calls.onprogress();
    };
    try {
      if (url) await io.put(url, bytesOf(number), {onprogress, signal: until});
    } catch (error) {
      moving.delete(number);
      show();
      throw error;
    }
    moving.delete(number);
    stored += size_bytes;
    show();
    calls.onstored();
  };

  /** @param {UploadPart} part */
  const sendUntilStored = async (part) => {
    for (const ms of WAITS_MS) {
      try {
        return await send(part);
      } catch (error) {
        if (until.aborted) throw error;
      }
      await calls.wait(ms);
      until.throwIfAborted();
      // The response may have been lost, and the link may have expired.
      [part] = (await ask([part.number])).data;
    }
    return send(part);
  };

  for (let next = first; next <= count; next += LINKS) {
    const numbers = Array.from({length: Math.min(LINKS, count - next + 1)}, (_, at) => next + at);
    const {data} = await ask(numbers);
    const waiting = [...data];
    let refused = false;
    const work = async () => {
      for (let part = waiting.shift(); part; part = waiting.shift()) {
        try {
          await sendUntilStored(part);
        } catch (error) {
          if (until.aborted) throw error;
          refused = true;
          return;
        }
        if (refused) return;
      }
    };
    await Promise.all(Array.from({length: AT_ONCE}, work));
    if (refused) return false;
  }
  return true;
}
