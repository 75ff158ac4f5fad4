// The extent of a recording that is written, without a browser.

import assert from "node:assert/strict";
import {test} from "node:test";
import {Extent} from "../../clipengine/web/store/session.js";

const state = (revision, duration, status = "recording") => ({recording_id: "rec", revision, duration_seconds: duration, status});

test("parts are called in their order, once for each update, with the duration before it", () => {
  const [extent, left, calls] = [new Extent(state(1, 10)), new AbortController(), []];
  for (const name of ["first", "second"]) extent.onupdate((before) => calls.push([name, before, extent.duration, extent.growing]), left.signal);
  assert.deepEqual(calls, []);
  assert.equal(extent.update(state(2, 14)), true);
  assert.equal(extent.update(state(3, 15, "complete")), true);
  assert.deepEqual(calls, [
    ["first", 10, 14, true],
    ["second", 10, 14, true],
    ["first", 14, 15, false],
    ["second", 14, 15, false],
  ]);
  assert.equal(extent.recording.duration_seconds, 15);
});

test("a late state, one of another recording, and one after the end change nothing", () => {
  const [extent, left, calls] = [new Extent(state(5, 10)), new AbortController(), []];
  extent.onupdate((before) => calls.push(before), left.signal);
  const other = {...state(9, 99), recording_id: "other"};
  for (const late of [state(4, 9), state(5, 99), other, state(6, 0, "processing")]) assert.equal(extent.update(late), false);
  extent.update(state(7, 11, "complete"));
  assert.equal(extent.update(state(8, 99, "complete")), false);
  left.abort();
  assert.deepEqual([calls, extent.duration], [[10], 11]);
});
