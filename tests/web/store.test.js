// The stores of the page, without a browser: `node --test tests/web`.

import assert from "node:assert/strict";
import {afterEach, beforeEach, describe, mock, test} from "node:test";
import {AllQuery} from "../../clipengine/web/store/all_query.js";
import {clipEntities} from "../../clipengine/web/store/clips.js";
import {hide, showAgain} from "../../clipengine/web/store/leaving.js";
import {ListQuery} from "../../clipengine/web/store/list_query.js";
import {recordingEntities} from "../../clipengine/web/store/recordings.js";
import {effect} from "../../clipengine/web/vendor/signals-core.js";

const clip = (id, revision, values = {}) => ({
  clip_id: id,
  recording_id: "rec",
  label: id,
  status: "processing",
  step: "encoding",
  attempt: 1,
  queue: null,
  revision,
  ...values,
});
const ready = (id, revision) => clip(id, revision, {status: "complete", step: null});
const page = (...data) => ({data, next_cursor: null});
const RELOAD_MS = 1000;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A server whose answers are given by hand, in any order. */
class Server {
  constructor() {
    this.asked = [];
    this.ask = (values, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(Object.assign(new Error("aborted"), {name: "AbortError"})));
        this.asked.push({values, resolve, reject});
      });
  }

  async answer(number, found) {
    this.asked.at(number).resolve(found);
    await settled();
  }

  async fail(number, values = {}) {
    this.asked.at(number).reject(Object.assign(new Error("broken"), values));
    await settled();
  }
}

const listOf = (options = {}) => {
  const store = options.store ?? clipEntities();
  const server = new Server();
  const ended = new AbortController();
  const list = new ListQuery({store, ask: server.ask, reloadMs: RELOAD_MS, signal: ended.signal, ...options});
  return {store, server, list, ended, event: (item) => store.apply([item], {event: true})};
};
const filters = (values) => ({
  plain: !values.q,
  get accepts() {
    const {status} = values;
    return (item) => !status || item.status === status;
  },
  values: () => ({...values}),
});

describe("order of states", () => {
  const cases = [
    ["a higher revision is newer", ready("a", 5), clip("a", 6, {step: "queued"}), "processing"],
    ["a lower revision is older", ready("a", 5), clip("a", 4), "complete"],
    ["a retry of a clip that was never started is newer", clip("a", 5, {status: "failed", attempt: 0}), clip("a", 6, {attempt: 0}), "processing"],
    ["without revisions, a later attempt is newer", {...ready("a", 0), attempt: 1}, clip("a", 0, {attempt: 2}), "processing"],
    ["without revisions, an ended attempt does not go on", ready("a", 0), clip("a", 0), "complete"],
  ];
  for (const [name, first, second, status] of cases) {
    test(name, () => {
      const store = clipEntities();
      store.apply([first]);
      store.apply([second], {event: true});
      assert.equal(store.peek("a").status, status);
    });
  }

  test("every order of the states of a clip ends with the newest", () => {
    const states = [clip("a", 1, {step: "queued"}), clip("a", 2), clip("a", 3, {progress: 0.5}), ready("a", 4)];
    const orders = (left) => (left.length ? left.flatMap((each, at) => orders(left.toSpliced(at, 1)).map((rest) => [each, ...rest])) : [[]]);
    for (const order of orders(states)) {
      const store = clipEntities();
      for (const state of order) store.apply([state]);
      assert.equal(store.peek("a").revision, 4);
    }
  });

  test("a place in the queue stays while events without it arrive", () => {
    const store = clipEntities();
    store.apply([clip("a", 1, {step: "queued", queue: {position: 2}})]);
    store.apply([clip("a", 2, {step: "queued", label: "new"})], {event: true});
    assert.deepEqual([store.peek("a").queue.position, store.peek("a").label], [2, "new"]);
    store.apply([clip("a", 3)], {event: true});
    assert.equal(store.peek("a").queue, null);
  });

  test("a deleted object does not come back with a late page", () => {
    const store = clipEntities();
    store.apply([ready("a", 3)]);
    store.delete("a");
    assert.deepEqual(store.apply([ready("a", 3), ready("b", 1)]), ["b"]);
  });

  test("after a reconnect, the server's state counts even if its revision is lower", () => {
    const store = clipEntities();
    store.apply([clip("a", 9)]);
    const before = store.epoch;
    store.restart();
    store.apply([clip("a", 7, {label: "restored"})]);
    assert.equal(store.peek("a").label, "restored");
    store.apply([clip("a", 9)], {epoch: before}); // an answer to a request of the lost connection
    assert.equal(store.peek("a").label, "restored");
  });

  test("a recording keeps its number of clips, which events do not have", () => {
    const store = recordingEntities();
    store.apply([{recording_id: "r", clips_count: 3, revision: null, name: "a"}]);
    store.apply([{recording_id: "r", clips_count: null, revision: null, name: "b"}], {event: true});
    assert.deepEqual([store.peek("r").name, store.peek("r").clips_count], ["b", 3]);
  });
});

describe("a list", () => {
  beforeEach(() => mock.timers.enable({apis: ["setTimeout"]}));
  afterEach(() => mock.timers.reset());

  test("a page that is older than an event does not turn a ready clip into one in progress", async () => {
    const {server, list, event} = listOf();
    list.load();
    await server.answer(0, page(clip("a", 2)));
    list.resync();
    event(ready("a", 3));
    await server.answer(1, page(clip("a", 2)));
    assert.equal(list.items[0].status, "complete");
  });

  test("an event of a clip that no list has is not kept, unless a page is on its way", async () => {
    const {store, server, list, event} = listOf({filters: filters({q: "goal"})});
    list.load();
    event(ready("a", 3)); // while the page is read
    await server.answer(0, page(clip("a", 2)));
    assert.equal(list.items[0].status, "complete");
    event(ready("b", 1));
    assert.equal(store.has("b"), false);
  });

  test("a query that has failed stays failed when an event arrives", async () => {
    const values = {};
    const {server, list, event} = listOf({filters: filters(values)});
    list.load();
    await server.answer(0, page(ready("a", 1), ready("b", 1)));
    Object.assign(values, {q: "zzz"});
    list.reload();
    await server.fail(1);
    event(ready("a", 2));
    event(ready("c", 1));
    assert.equal(list.state.value, "failed");
    assert.equal(list.error.value.message, "broken");
    list.reload();
    await server.answer(-1, page());
    assert.deepEqual([list.state.value, list.items], ["ready", []]);
  });

  test("the answer of the query before is ignored", async () => {
    const values = {q: "a"};
    const {server, list} = listOf({filters: filters(values)});
    list.load();
    values.q = "b";
    list.reload();
    await server.answer(1, page(ready("b", 1)));
    await server.answer(0, page(ready("a", 1)));
    assert.deepEqual(list.shown.value, ["b"]);
  });

  test("rows are of the filter of their query until the next page has arrived", async () => {
    const values = {};
    const {server, list} = listOf({filters: filters(values)});
    list.load();
    await server.answer(0, page(ready("a", 1), clip("b", 1)));
    values.status = "processing";
    list.reload();
    assert.deepEqual(list.shown.value, ["a", "b"]);
    await server.answer(1, page(clip("b", 1)));
    assert.deepEqual(list.shown.value, ["b"]);
    list.store.apply([ready("b", 2)], {event: true});
    assert.deepEqual(list.shown.value, []);
  });

  test("new items stand on top, also those that arrived while the page was read", async () => {
    const {server, list, event} = listOf();
    list.load();
    event(clip("new", 1));
    await server.answer(0, page(ready("a", 1)));
    assert.deepEqual(list.shown.value, ["new", "a"]);
    event(clip("newer", 1));
    assert.deepEqual(list.shown.value, ["newer", "new", "a"]);
    list.store.delete("new");
    assert.deepEqual(list.shown.value, ["newer", "a"]);
  });

  test("a list is loaded again after an event that its page may lack", async () => {
    const {server, list, event} = listOf({filters: filters({q: "goal"})});
    list.load();
    await server.answer(0, page());
    event(ready("a", 1));
    assert.equal(server.asked.length, 1);
    mock.timers.tick(RELOAD_MS);
    assert.equal(server.asked.length, 2);
  });

  test("a page whose items were all deleted gives way to the one before", async () => {
    const {server, list, store} = listOf();
    list.load();
    await server.answer(0, {data: [ready("a", 1)], next_cursor: "two"});
    list.turn(1);
    await server.answer(1, page(ready("b", 1)));
    assert.deepEqual([list.number.value, list.shown.value], [2, ["b"]]);
    store.delete("b");
    await server.answer(2, page());
    await server.answer(3, {data: [ready("a", 1)], next_cursor: null});
    assert.deepEqual([list.number.value, list.shown.value], [1, ["a"]]);
  });

  test("an event changes what reads its item, and nothing else", async () => {
    const {server, list, store, event} = listOf();
    list.load();
    await server.answer(0, page(ready("a", 1), clip("b", 1)));
    const runs = {a: 0, b: 0};
    for (const id of ["a", "b"]) {
      effect(() => {
        store.stateOf(id).value;
        runs[id] += 1;
      });
    }
    event(clip("b", 2));
    assert.deepEqual(runs, {a: 1, b: 2});
  });

  test("nothing is requested after the view has ended", async () => {
    const {server, list, ended, event} = listOf({filters: filters({q: "x"})});
    list.load();
    await server.answer(0, page());
    event(ready("a", 1));
    ended.abort();
    mock.timers.tick(2 * RELOAD_MS);
    assert.equal(server.asked.length, 1);
  });
});

describe("all clips of a recording", () => {
  const allOf = (store = clipEntities()) => {
    const server = new Server();
    const ended = new AbortController();
    const wants = (each) => each.recording_id === "rec";
    return {store, server, all: new AllQuery({store, ask: server.ask, wants, retryMs: 0, signal: ended.signal})};
  };

  test("pages follow each other, and share their items with the list", async () => {
    const store = clipEntities();
    const {server, all} = allOf(store);
    const {list, server: other} = listOf({store});
    list.load();
    await other.answer(0, {data: [clip("a", 1)], next_cursor: "two"});
    all.add(list.ids.value);
    all.load(list.next.value);
    await server.answer(0, page(ready("b", 1)));
    assert.deepEqual(
      server.asked.map(({values}) => values),
      ["two"],
    );
    store.apply([ready("a", 2)], {event: true});
    assert.deepEqual(
      all.items.map(({status}) => status),
      ["complete", "complete"],
    );
  });

  test("a page that fails is requested again; one that is refused is not", async () => {
    const {server, all} = allOf();
    all.load();
    await server.fail(0, {retryable: true});
    while (server.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await server.answer(1, page(ready("a", 1)));
    assert.equal(all.items.length, 1);
    all.load();
    await server.fail(2, {retryable: false});
    assert.equal(server.asked.length, 3);
  });

  test("what a full load does not find is gone, and events of other recordings are not taken", async () => {
    const {store, server, all} = allOf();
    all.load();
    await server.answer(0, page(ready("a", 1), ready("b", 1)));
    all.load();
    await server.answer(1, page(ready("b", 1)));
    store.apply([clip("c", 1), clip("d", 1, {recording_id: "other"})], {event: true});
    assert.deepEqual([...all.ids.value], ["b", "c"]);
  });
});

describe("deletions that can be undone", () => {
  test("a hidden object is in no list until it is shown again, at its place and as it is now", async () => {
    const {store, server, list, ended, event} = listOf();
    const all = new AllQuery({store, ask: server.ask, wants: () => true, signal: ended.signal});
    list.load();
    await server.answer(-1, page(clip("left", 1), clip("middle", 1), clip("right", 1)));
    all.add(list.ids.peek());
    hide(["middle"]);
    event(ready("middle", 2));
    assert.deepEqual(list.shown.value, ["left", "right"]);
    assert.deepEqual(all.shown.value, ["left", "right"]);
    showAgain(["middle"]);
    assert.deepEqual(list.shown.value, ["left", "middle", "right"]);
    assert.equal(all.items[1].status, "complete");
    ended.abort();
  });
});
