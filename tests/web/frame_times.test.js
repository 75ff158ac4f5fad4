// The frame times of a recording with a variable rate, without a browser.

import assert from "node:assert/strict";
import {afterEach, beforeEach, mock, test} from "node:test";
import {FrameTimes} from "../../clipengine/web/player/media/frame_times.js";
import {Extent} from "../../clipengine/web/store/session.js";

const settled = () => new Promise((resolve) => setImmediate(resolve));
const later = () => mock.timers.tick(60_000);
const BUSY = Object.assign(new Error("busy"), {retryable: true});
const GONE = Object.assign(new Error("gone"), {retryable: false});

/** Frame times whose requests are answered by hand. */
function frameTimes(duration) {
  const asked = [];
  const left = new AbortController();
  const extent = new Extent({recording_id: "rec", duration_seconds: duration, status: "recording", revision: 1});
  const times = new FrameTimes({
    extent,
    ask: (start, end) => new Promise((resolve, reject) => asked.push({start, end, resolve, reject})),
    onknown: () => {},
    signal: left.signal,
  });
  return {times, extent, asked, left};
}

beforeEach(() => {
  mock.timers.enable({apis: ["setTimeout"]});
  mock.method(console, "warn", () => {});
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test("a part that failed is requested again until it is known", async () => {
  const {times, asked} = frameTimes(10);
  times.load(5);
  for (let failures = 0; failures < 2; failures += 1) {
    asked.at(-1).reject(BUSY);
    await settled();
    times.load(5);
    later();
  }
  assert.equal(asked.length, 3);
  asked.at(-1).resolve([1.234, 1.3]);
  await settled();
  assert.equal(times.nearest(1.237, 0.02), 1.234);
  later();
  assert.equal(asked.length, 3);
});

test("a part that cannot succeed, or whose view has ended, is not requested again", async () => {
  const {times, asked, left} = frameTimes(30);
  times.load(10);
  asked[0].reject(GONE);
  times.load(25);
  asked[1].reject(BUSY);
  await settled();
  left.abort();
  later();
  assert.equal(asked.length, 2);
});

test("the frames that a live recording gains are loaded, in any order of the answers", async () => {
  const {times, extent, asked} = frameTimes(15);
  times.load(10);
  times.load(25); // after its end
  assert.equal(asked.length, 1);
  extent.update({recording_id: "rec", duration_seconds: 30, status: "recording", revision: 2});
  times.load(10);
  times.load(25);
  assert.deepEqual(
    asked.map(({start}) => start),
    [0, 0, 20],
  );
  asked[1].resolve([14, 16]);
  asked[2].resolve([25]);
  await settled();
  asked[0].resolve([14]);
  await settled();
  assert.deepEqual([times.nearest(16, 0.1), times.nearest(25, 0.1), times.neighbour(16, 1)], [16, 25, 25]);
});
