// Uploads of the page against a server of this process, where a browser cannot be made to do the same each time.

import assert from "node:assert/strict";
import {afterEach, beforeEach, describe, mock, test} from "node:test";
import {crc32} from "../../clipengine/web/store/file_print.js";
import {Uploads} from "../../clipengine/web/store/uploads.js";

const SECONDS = 30;

/** Wait until `read()` returns these values: files are read in other threads. */
async function until(read, wanted) {
  const deadline = performance.now() + SECONDS * 1000;
  while (read().join() !== wanted.join()) {
    assert.ok(performance.now() < deadline, `${read()}, not ${wanted}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const stepsOf = (...tabs) => tabs.flatMap(({list}) => list.value.map(({name, step}) => `${name} ${step}`)).sort();

/** Wait until the uploads of the tabs have these steps, and the server receives or has received so many requests with bytes. */
const reach = (tabs, steps, {appends}, count) => until(() => [...stepsOf(...[tabs].flat()), appends.length], [...steps, count]);

const failure = (status, code = "") =>
  Object.assign(new Error(code), {status, code, retryable: status === 0 || status === 409 || status === 423 || status >= 500});
const fileOf = (name, text = name) => Object.assign(new File([text], name, {lastModified: 1}));

/** A server that keeps bytes by upload, and answers requests with bytes by `finish`. */
class Server {
  constructor() {
    this.uploads = new Map(); // id -> {text, size, recording}
    this.keys = new Map(); // idempotency key -> id
    this.appends = []; // those that have bytes
  }

  find(id) {
    const found = this.uploads.get(id);
    if (!found) throw failure(404);
    const recording_id = found.text.length === found.size && !found.assembling ? `rec of ${id}` : null;
    return {upload_id: id, offset: found.text.length, recording_id};
  }

  begin = async (file, key) => {
    if (!this.keys.has(key)) {
      this.keys.set(key, `upl_${this.keys.size}`);
      this.uploads.set(this.keys.get(key), {text: "", size: file.size});
    }
    return this.find(this.keys.get(key));
  };

  /** Store the bytes of a request and answer it. */
  finish(append = this.appends.at(-1)) {
    append.store();
    append.resolve();
  }

  append = async (id, offset, bytes, {signal}) => {
    if (offset !== this.find(id).offset) throw failure(409);
    const upload = this.uploads.get(id);
    if (upload.locked) throw failure(423);
    if (!bytes.size) return null;
    upload.locked = true;
    try {
      const text = await bytes.text();
      await new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
        this.appends.push({id, store: (length = text.length) => (upload.text += text.slice(0, length)), resolve, reject});
      });
    } finally {
      upload.locked = false;
    }
    return this.find(id).recording_id;
  };
}

/** The storage and the channel that the tabs of one browser share. */
class Browser {
  constructor(server) {
    this.server = server;
    this.values = new Map();
    this.tabs = [];
  }

  open(account = "key_1") {
    const {server, values, tabs} = this;
    const receivers = [];
    tabs.push(receivers);
    const others = () => tabs.filter((tab) => tab !== receivers).flat();
    const opened = new Uploads({
      begin: server.begin,
      get: async (id) => server.find(id),
      append: server.append,
      end: async (id) => server.uploads.delete(id),
      recording: async (id) => ({recording_id: id}),
      problem: (code, status = 400) => failure(status, code),
      storage: {
        getItem: (name) => values.get(name) ?? null,
        setItem: (name, value) => values.set(name, value),
        removeItem: (name) => values.delete(name),
        key: (at) => [...values.keys()][at],
        get length() {
          return values.size;
        },
      },
      tabs: {
        addEventListener: (_, take) => receivers.push(take),
        postMessage: (data) => {
          for (const take of others()) setImmediate(() => take({data}));
        },
      },
    });
    opened.open(account);
    return opened;
  }
}

test("the checksum is CRC-32", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

describe("uploads", () => {
  // No wait ends by itself: a step is seen however long this process stands still.
  beforeEach(() => mock.timers.enable({apis: ["setTimeout"]}));
  afterEach(() => mock.timers.reset());

  test("two are sent at a time, and the next one when one ends or is paused", async () => {
    const server = new Server();
    const uploads = new Browser(server).open();
    uploads.add(["a", "b", "c", "d"].map((name) => fileOf(name)));
    await reach(uploads, ["a sending", "b sending", "c queued", "d queued"], server, 2);
    server.finish(server.appends.find(({id}) => id === uploads.list.value[0].id));
    await reach(uploads, ["b sending", "c sending", "d queued"], server, 3);
    uploads.pause(uploads.list.value[0]);
    await reach(uploads, ["b paused", "c sending", "d sending"], server, 4);
    uploads.close();
  });

  test("after a cut it continues at the offset of the server, without a click", async () => {
    const server = new Server();
    const uploads = new Browser(server).open();
    uploads.add([fileOf("a", "all of the file")]);
    await reach(uploads, ["a sending"], server, 1);
    server.appends[0].store(6);
    server.appends[0].reject(failure(0));
    await reach(uploads, ["a waiting"], server, 1);
    uploads.wake();
    await reach(uploads, ["a sending"], server, 2);
    server.finish();
    await reach(uploads, [], server, 2);
    assert.equal(server.uploads.get("upl_0").text, "all of the file");
  });

  test("one that is assembled for another request is over when it has its recording", async () => {
    const server = new Server();
    const uploads = new Browser(server).open();
    uploads.add([fileOf("a", "all of the file")]);
    await reach(uploads, ["a sending"], server, 1);
    server.uploads.get("upl_0").assembling = true;
    server.appends[0].store();
    server.appends[0].reject(failure(0)); // the response is lost
    await reach(uploads, ["a waiting"], server, 1);
    const [{state}] = uploads.list.value;
    uploads.wake();
    await until(() => [state.value.error?.message], ["upload_assembling"]);
    assert.deepEqual(stepsOf(uploads), ["a waiting"]);
    server.uploads.get("upl_0").assembling = false;
    uploads.wake();
    await reach(uploads, [], server, 1);
  });

  test("one that the server has deleted begins anew, and says so", async () => {
    const server = new Server();
    const uploads = new Browser(server).open();
    uploads.add([fileOf("a", "all of the file")]);
    await reach(uploads, ["a sending"], server, 1);
    const [upload] = uploads.list.value;
    server.appends[0].store(6);
    server.appends[0].reject(failure(0));
    await reach(uploads, ["a waiting"], server, 1);
    uploads.wake();
    await reach(uploads, ["a sending"], server, 2);
    uploads.pause(upload);
    server.uploads.clear();
    uploads.queue(upload);
    await reach(uploads, ["a sending"], server, 3);
    assert.deepEqual([upload.state.value.anew, upload.state.value.sent, upload.id], [true, 0, "upl_1"]);
    uploads.close();
  });

  test("a file that was uploaded is not sent again unless that is wanted", async () => {
    const server = new Server();
    const uploads = new Browser(server).open();
    uploads.add([fileOf("a")]);
    await reach(uploads, ["a sending"], server, 1);
    server.finish();
    await reach(uploads, [], server, 1);
    uploads.add([fileOf("a")]);
    await reach(uploads, ["a known"], server, 1);
    uploads.sendAgain(uploads.list.value[0]);
    await reach(uploads, ["a sending"], server, 2);
    server.finish();
    await reach(uploads, [], server, 2);
  });

  test("two tabs that begin with the same file at once send it once", async () => {
    mock.timers.reset(); // the tab that comes second asks again after a while
    const server = new Server();
    const browser = new Browser(server);
    const tabs = [browser.open(), browser.open()];
    for (const tab of tabs) tab.add([fileOf("a")]);
    await until(() => stepsOf(...tabs), ["a elsewhere", "a sending"]);
    const first = tabs.find(({busy}) => busy);
    const second = tabs.find(({busy}) => !busy);
    const before = server.appends.length;
    first.close();
    await reach(second, ["a sending"], server, before + 1);
    server.finish();
    await reach(second, [], server, before + 1);
    assert.equal(server.uploads.size, 1);
  });

  test("a tab that no longer reports is taken over", async () => {
    const server = new Server();
    const browser = new Browser(server);
    const [first, second] = [browser.open(), browser.open()];
    first.add([fileOf("a")]);
    await reach(first, ["a sending"], server, 1);
    await reach(second, ["a elsewhere"], server, 1);
    second.add([fileOf("a")]);
    await reach(second, ["a elsewhere"], server, 1);
    browser.tabs.length = 0;
    first.close(); // it has crashed: the second one does not hear of it
    mock.timers.tick(30_000);
    await reach(second, ["a sending"], server, 2);
  });

  test("uploads of another key are not shown", async () => {
    const server = new Server();
    const browser = new Browser(server);
    const first = browser.open();
    first.add([fileOf("a")]);
    await reach(first, ["a sending"], server, 1);
    first.close();
    assert.deepEqual(stepsOf(browser.open("key_2")), []);
    assert.deepEqual(stepsOf(browser.open("key_1")), ["a asks"]);
  });
});
