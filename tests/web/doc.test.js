// The document of segments, title and look, its history, and how it is stored, without a browser.

import assert from "node:assert/strict";
import {afterEach, beforeEach, describe, mock, test} from "node:test";
import {Doc, newSegment} from "../../clipengine/web/store/doc.js";
import {History} from "../../clipengine/web/store/history.js";
import {Sync} from "../../clipengine/web/store/sync.js";
import {effect, signal} from "../../clipengine/web/vendor/signals-core.js";

const range = (start, label = "") => ({label, start, end: start + 1});
const starts = (doc) => doc.segments.value.map(({start}) => start);
const labels = (doc) => doc.segments.value.map(({label}) => label);
const emptyDoc = (history = new History()) => new Doc({history, most: 5});
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("the document", () => {
  test("each change is undone in turn, in one order with those of others", () => {
    const history = new History();
    const doc = emptyDoc(history);
    const undone = [];
    const [first, second] = doc.add(range(1), range(2));
    doc.move(first.id, 1);
    history.add({active: true}, () => undone.push("crop"));
    doc.update(second.id, {label: "named"});
    doc.split(second.id, 2.5);
    doc.remove(first.id);
    assert.deepEqual(
      [starts(doc), labels(doc)],
      [
        [2, 2.5],
        ["named", "named"],
      ],
    );
    history.undo();
    history.undo();
    history.undo();
    assert.deepEqual([starts(doc), labels(doc), undone], [[2, 1], ["", ""], []]);
    history.undo();
    assert.deepEqual(undone, ["crop"]);
    history.undo();
    history.undo();
    assert.deepEqual([starts(doc), history.undo()], [[], false]);
  });

  test("undo keeps what was added elsewhere", () => {
    const history = new History();
    const doc = emptyDoc(history);
    doc.add(range(1));
    const [mine] = doc.segments.value;
    doc.update(mine.id, {label: "a"}, "name");
    doc.update(mine.id, {label: "ab"}, "name");
    doc.set({segments: [newSegment(range(8, "theirs")), ...doc.segments.value]});
    history.undo();
    assert.deepEqual(labels(doc).sort(), ["", "theirs"]);
    history.undo();
    assert.deepEqual(labels(doc), ["theirs"]);
  });

  test("a text that is typed is one change, and the look is not changed by undo", () => {
    const history = new History();
    const doc = emptyDoc(history);
    for (const title of ["B", "Be", "Best"]) doc.change({title}, "title");
    doc.set({look: {output: {aspect: "9:16"}}});
    history.undo();
    assert.deepEqual([doc.title.value, doc.value.value.look], ["", {output: {aspect: "9:16"}}]);
  });

  test("segments that are put back stand before newer ones, as many as the list may have", () => {
    const doc = emptyDoc();
    doc.add(range(1), range(2), range(3));
    const before = doc.clear();
    doc.add(range(7), range(8), range(9));
    doc.putBack(before);
    assert.deepEqual([starts(doc), doc.room], [[1, 2, 3, 7, 8], 0]);
  });

  test("what reads the segments does not run when title or look change", () => {
    const doc = emptyDoc();
    let runs = 0;
    effect(() => {
      doc.segments.value;
      runs += 1;
    });
    doc.change({title: "Best"});
    doc.set({look: {}});
    assert.equal(runs, 1);
  });
});

/** A server and a tab that keep a list. */
class Stored {
  constructor(list = {}, held = null) {
    this.list = {title: "", look: {}, segments: [], version: 1, updated_at: "then", ...list};
    this.held = held;
    this.writes = 0; // of the tab
    this.saves = [];
    this.asked = [];
    this.looks = [];
    this.errors = [];
    this.failure = null; // of the next request
    this.dragging = signal(false);
    this.left = new AbortController();
  }

  fail() {
    const {failure} = this;
    this.failure = null;
    if (failure) throw failure;
  }

  open() {
    const doc = emptyDoc();
    const sync = new Sync(doc, {
      load: async () => {
        this.fail();
        return structuredClone(this.list);
      },
      save: async (list, version) => {
        this.saves.push(list);
        this.fail();
        if (version !== this.list.version) throw Object.assign(new Error("changed"), {status: 412});
        this.list = {...structuredClone(list), version: version + 1, updated_at: "now"};
        return structuredClone(this.list);
      },
      held: () => this.held,
      hold: (held) => {
        this.held = held;
        this.writes += 1;
      },
      onlook: (look) => this.looks.push(look),
      ask: (theirs, what) => this.asked.push([theirs.title, what]),
      onerror: (error) => this.errors.push(error.message),
      dragging: this.dragging,
      signal: this.left.signal,
    });
    return {doc, sync};
  }
}

const stored = (start, label = "") => ({label, start_seconds: start, end_seconds: start + 1});
const error = (status, retryable) => Object.assign(new Error(String(status)), {status, retryable});
const later = async () => {
  mock.timers.tick(10_000);
  await settled();
};

describe("storing", () => {
  beforeEach(() => mock.timers.enable({apis: ["setTimeout"]}));
  afterEach(() => mock.timers.reset());

  test("changes in a row are stored once, after the last one, and held in the tab until then", async () => {
    const server = new Stored({title: "Best", segments: [stored(1)]});
    const {doc, sync} = server.open();
    await settled();
    assert.deepEqual([starts(doc), doc.title.value, server.looks, sync.savedAt.value], [[1], "Best", [{}], "then"]);
    doc.add(range(5));
    doc.add(range(7));
    assert.deepEqual([server.held.items.length, sync.savedAt.value, server.saves.length], [3, null, 0]);
    await later();
    assert.deepEqual([server.saves.length, server.list.segments.length, server.held, sync.savedAt.value], [1, 3, null, "now"]);
    await later();
    assert.deepEqual([server.saves.length, server.writes], [1, 3]);
  });

  test("what follows the pointer is held and stored when it is released, also if an earlier change is stored meanwhile", async () => {
    const server = new Stored();
    const {doc} = server.open();
    await settled();
    doc.add(range(1));
    server.dragging.value = true;
    for (const x of [0.1, 0.2, 0.3]) doc.set({look: {output: {focus: {x}}}});
    await later();
    assert.deepEqual([server.writes, server.saves.length, server.list.look], [1, 1, {}]);
    server.dragging.value = false;
    assert.deepEqual([server.writes, server.held.look.output.focus.x], [2, 0.3]);
    await later();
    assert.deepEqual([server.saves.length, server.list.look, server.held], [2, {output: {focus: {x: 0.3}}}, null]);
  });

  test("a change during a request is stored after it", async () => {
    const server = new Stored();
    const {doc} = server.open();
    await settled();
    doc.add(range(1));
    mock.timers.tick(500);
    doc.add(range(2));
    await settled();
    await later();
    assert.deepEqual([server.saves.map(({segments}) => segments.length), server.held], [[1, 2], null]);
  });

  test("lists that two tabs have changed are merged, and only what both have changed is asked", async () => {
    const server = new Stored({title: "Best", segments: [stored(1)]});
    const {doc, sync} = server.open();
    await settled();
    server.list = {...server.list, title: "Worst", segments: [stored(1), stored(2)], version: 2};
    doc.add(range(3));
    doc.change({title: "Mine"});
    await later();
    await later();
    assert.deepEqual([starts(doc), server.list.segments.length, server.list.title], [[1, 2, 3], 3, "Mine"]);
    assert.deepEqual(server.asked, [["Worst", {title: true, look: false}]]);
    sync.use({title: "Worst"});
    await later();
    assert.equal(server.list.title, "Worst");
  });

  test("a look that the server writes in another form is not asked", async () => {
    const look = {output: {crop: {x: 0.1, y: 0, width: 0.5, height: 1}}};
    const base = {title: "", segments: [], look: {}, version: 1, updated_at: "then"};
    const server = new Stored({}, {items: [], title: "", look, base});
    server.list = {...server.list, look: {subtitles: null, output: {crop: {height: 1, width: 0.5, x: 0.1, y: 0}, aspect: null}, without: []}, version: 2};
    server.open(); // the tab was closed before the response
    await settled();
    await later();
    assert.deepEqual(server.asked, []);
    server.held = {items: [], title: "", look: {output: {fps: 25}}, base};
    server.open();
    await settled();
    assert.deepEqual(server.asked, [["", {title: false, look: true}]]);
  });

  test("what the tab holds is merged with the list of the server, also of version 0.1.0", async () => {
    const server = new Stored({segments: [stored(4, "theirs")]}, {items: [range(1, "held"), range(4, "theirs")]});
    const {doc} = server.open();
    assert.deepEqual(labels(doc), ["held", "theirs"]);
    await settled();
    await later();
    assert.deepEqual(
      server.list.segments.map(({label}) => label),
      ["theirs", "held"],
    );
    assert.equal(server.held, null);
  });

  test("a request that may succeed later is sent again, and another one is reported", async () => {
    const server = new Stored();
    server.failure = error(503, true);
    const {doc} = server.open();
    await settled();
    doc.add(range(1));
    await later();
    assert.deepEqual(starts(doc), [1]);
    server.failure = error(503, true);
    await later();
    await later();
    assert.equal(server.list.segments.length, 1);
    server.failure = error(400, false);
    doc.add(range(2));
    await later();
    assert.deepEqual([server.errors, server.held.items.length], [["400"], 2]);
  });

  test("the end of the view stores at once what has changed", async () => {
    const server = new Stored();
    const {doc} = server.open();
    await settled();
    doc.add(range(1));
    server.left.abort();
    await settled();
    assert.equal(server.list.segments.length, 1);
  });
});
