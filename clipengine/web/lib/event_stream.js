// The stream of server-sent events. The worker of all tabs has one, or, without a worker, each tab.

/** @typedef {{kind: "open"} | {kind: "error", closed: boolean} | {kind: "event", name: string, data: string}} StreamMessage `closed`: the browser does not reconnect */

/**
 * Open the stream; `post` gets what arrives.
 *
 * @param {string[]} names of the events
 * @param {(message: StreamMessage) => void} post
 */
export function openStream(names, post) {
  const stream = new EventSource("/v1/events");
  stream.addEventListener("open", () => post({kind: "open"}));
  stream.addEventListener("error", () => post({kind: "error", closed: stream.readyState === EventSource.CLOSED}));
  for (const name of names) stream.addEventListener(name, ({data}) => post({kind: "event", name, data}));
  return stream;
}
