// The worker that all tabs of a browser share: one stream of events for all of them, as browsers open at most six connections to
// a server of HTTP/1.1. A tab sends "join" with the names of the events, "leave", or "end" when the session ends.

import {openStream} from "./event_stream.js";

/** @import {StreamMessage} from "./event_stream.js" */

/** @type {Set<MessagePort>} */
const tabs = new Set();
/** @type {EventSource | null} */
let stream = null;

/** @param {StreamMessage} message */
function post(message) {
  for (const tab of tabs) tab.postMessage(message);
  if (message.kind === "error" && message.closed) close(); // the tabs join again
}

function close() {
  stream?.close();
  stream = null;
}

/**
 * @param {MessagePort} tab
 * @param {string[]} names
 */
function join(tab, names) {
  tabs.add(tab);
  if (!stream) stream = openStream(names, post);
  else if (stream.readyState === EventSource.OPEN) tab.postMessage({kind: "open"});
}

/** @param {MessagePort} tab */
function leave(tab) {
  tabs.delete(tab);
  if (!tabs.size) close();
}

addEventListener("connect", (event) => {
  const [tab] = /** @type {MessageEvent} */ (event).ports;
  tab.onmessage = ({data: {kind, names}}) => {
    if (kind === "join") join(tab, names);
    else if (kind === "leave") leave(tab);
    else post({kind: "error", closed: true}); // "end": each tab asks whether the session has ended
  };
});
