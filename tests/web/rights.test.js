// What the page offers, from what the server answers for the session.

import assert from "node:assert/strict";
import {test} from "node:test";
import {may, mayEdit, setCaller} from "../../clipengine/web/lib/rights.js";

const own = {created_by: "user_1"};
const other = {created_by: "user_2"};
const nobodys = {created_by: null};

test("an action is offered with all objects, with own ones, or not at all", () => {
  setCaller({id: "user_1", may: {clips: {read: "all", write: "all", delete: "own"}, recordings: {read: "all"}}});
  assert.deepEqual(
    [own, other, nobodys].map((clip) => may("delete", "clips", clip)),
    [true, false, false],
  );
  assert.equal(may("write", "clips", other), true);
  assert.equal(may("delete", "clips"), true);
  assert.equal(may("delete", "recordings", own), false);
  assert.equal(may("read", "keys"), false);
  assert.equal(mayEdit(), false);
});

test("nothing is offered without a session", () => {
  setCaller({id: "", may: {}});
  assert.equal(may("read", "clips"), false);
  assert.equal(may("delete", "clips", {created_by: ""}), false);
});
