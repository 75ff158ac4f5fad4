// Parts of a file that the page sends straight to the bucket.

import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {Upload} from "../../clipengine/web/store/upload.js";
import {sendParts} from "../../clipengine/web/store/upload_parts.js";

const PART_BYTES = 4;

/** A bucket and the server that makes links to it. `take(number, tries)` answers a part, and may throw. */
class Bucket {
  constructor(size, {sent = 0, take = () => {}} = {}) {
    this.file = new File(["abcdefghijklmnopqrstuvwxyz".repeat(9).slice(0, size)], "a");
    this.upload = new Upload({name: "a", size, file: this.file, id: "upl_1", sent});
    this.take = take;
    this.asked = []; // numbers of each request for links
    this.asking = 0;
    this.sending = 0;
    this.most = 0; // parts at a time
    this.tries = new Map();
    this.stored = new Map();
    this.seen = []; // what the upload shows as sent
    this.waits = [];
    this.kept = 0;
    this.stop = new AbortController();
    this.upload.state.subscribe(({sent: shown}) => this.seen.push(shown));
  }

  links = async (id, numbers) => {
    assert.equal(id, "upl_1");
    assert.equal(this.asking, 0, "another request for links would find the upload locked");
    this.asking += 1;
    await null;
    this.asking -= 1;
    this.asked.push(numbers);
    const bytesOf = (number) => Math.min(PART_BYTES, this.file.size - (number - 1) * PART_BYTES);
    return {data: numbers.map((number) => ({number, size_bytes: bytesOf(number), url: this.stored.has(number) ? null : `https://store/${number}`}))};
  };

  put = async (url, bytes, {onprogress, signal}) => {
    const number = Number(url.split("/").at(-1));
    this.tries.set(number, (this.tries.get(number) ?? 0) + 1);
    this.sending += 1;
    this.most = Math.max(this.most, this.sending);
    try {
      onprogress(bytes.size / 2);
      const text = await bytes.text();
      signal.throwIfAborted();
      this.take(number, this.tries.get(number), text);
      this.stored.set(number, text);
    } finally {
      this.sending -= 1;
    }
  };

  send() {
    const calls = {
      onprogress: () => {},
      onstored: () => {
        this.kept += 1;
      },
      wait: async (ms) => this.waits.push(ms),
    };
    return sendParts(this, this.upload, this.file, this.stop.signal, PART_BYTES, calls);
  }

  get content() {
    return [...this.stored]
      .sort(([one], [other]) => one - other)
      .map(([, text]) => text)
      .join("");
  }
}

const numbers = (first, last) => Array.from({length: last - first + 1}, (_, at) => first + at);
const lost = () => {
  throw new TypeError("the connection was lost");
};

describe("parts", () => {
  test("three are sent at a time, with twelve links of a request", async () => {
    const bucket = new Bucket(57);
    assert.equal(await bucket.send(), true);
    assert.equal(bucket.content, await bucket.file.text());
    assert.deepEqual(bucket.asked, [numbers(1, 12), numbers(13, 15)]);
    assert.deepEqual([bucket.most, bucket.kept, bucket.seen.at(-1)], [3, 15, 57]);
    assert.ok(
      bucket.seen.every((sent) => sent <= 57),
      "a part is counted once",
    );
  });

  test("those before the offset and those that the store has are not sent again", async () => {
    const bucket = new Bucket(20, {sent: 9});
    for (const number of [1, 2, 4]) bucket.stored.set(number, "kept");
    assert.equal(await bucket.send(), true);
    assert.deepEqual(bucket.asked, [[3, 4, 5]]);
    assert.deepEqual([...bucket.tries.keys()], [3, 5]);
    assert.equal(bucket.seen.at(-1), 20);
  });

  test("one that is lost is sent again with a new link", async () => {
    const bucket = new Bucket(12, {take: (number, tries) => number === 2 && tries < 3 && lost()});
    assert.equal(await bucket.send(), true);
    assert.deepEqual(bucket.asked, [[1, 2, 3], [2], [2]]);
    assert.deepEqual(bucket.waits, [1000, 4000]);
    assert.deepEqual([bucket.content, bucket.seen.at(-1)], [await bucket.file.text(), 12]);
  });

  test("one whose response was lost is not sent again", async () => {
    const bucket = new Bucket(12);
    bucket.take = (number, _, text) => {
      if (number !== 2) return;
      bucket.stored.set(number, text);
      lost();
    };
    assert.equal(await bucket.send(), true);
    assert.deepEqual([bucket.tries.get(2), bucket.content, bucket.seen.at(-1)], [1, await bucket.file.text(), 12]);
  });

  test("none follows one that the store does not take", async () => {
    const bucket = new Bucket(100, {take: (number) => number === 2 && lost()});
    assert.equal(await bucket.send(), false);
    assert.equal(bucket.tries.get(2), 3);
    assert.ok(bucket.asked.flat().every((number) => number <= 12));
    assert.equal(bucket.seen.at(-1), bucket.content.length, "bytes on their way are no longer counted");
  });

  test("a pause ends all of them", async () => {
    const bucket = new Bucket(57, {take: (number) => number === 3 && bucket.stop.abort()});
    await assert.rejects(bucket.send(), {name: "AbortError"});
    assert.deepEqual([bucket.sending, bucket.asked.length, bucket.waits], [0, 1, []]);
  });
});
