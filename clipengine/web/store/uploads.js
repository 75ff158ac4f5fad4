// Uploads of this tab, two at a time, and those of other tabs and of earlier pages. The server has the one truth: how much it has of a
// file, and who sends it. Two tabs with the same file get the same upload, because its idempotency key comes from the file. No DOM.

import {signal} from "../vendor/signals-core.js";
import {printOf, samePrint} from "./file_print.js";
import {Upload} from "./upload.js";
import {UploadRecords} from "./upload_records.js";
import {checkedPrint, locate, sendRest, unlessMissing} from "./upload_sending.js";

/** @import {Keeper, Said, TabMessage} from "./upload_records.js" */
/** @import {SendingIO} from "./upload_sending.js" */

/**
 * `end` deletes an upload.
 *
 * @typedef {object} TabIO
 * @property {(id: string) => Promise<unknown>} end
 * @property {Keeper} storage
 * @property {Pick<BroadcastChannel, "postMessage" | "addEventListener">} tabs
 */

const PLACES = 2;
const TELL_MS = 1000; // between messages about progress
const SILENCE_MS = 30_000; // after which another tab no longer sends
/** @type {Said[]} */
const SENDS = ["queued", "sending", "waiting"];
const WAITS_MS = [1000, 2000, 4000, 8000, 16_000, 30_000]; // between tries

export class Uploads {
  /** @param {SendingIO & TabIO} io */
  constructor(io) {
    this.io = io;
    this.list = signal(/** @type {readonly Upload[]} */ ([]));
    this.records = new UploadRecords(io.storage, "");
    this.running = 0;
    /** @type {Set<() => void>} that end a wait */
    this.wakers = new Set();
    this.tab = Math.random(); // distinguishes tabs
    this.toldAt = 0;
    /** @type {(upload: Upload, recording: Recording | null) => void} */
    this.ondone = () => {};
    io.tabs.addEventListener("message", ({data}) => this.heard(data));
  }

  // True if leaving the page interrupts an upload.
  get busy() {
    return this.list.peek().some((upload) => upload.working);
  }

  // True if a reload loses files that were chosen.
  get hasFiles() {
    return this.list.peek().some(({file}) => file);
  }

  /**
   * Show the unfinished uploads of the account that has signed in, and continue those of this tab.
   *
   * @param {string} account
   */
  open(account) {
    this.records = new UploadRecords(this.io.storage, account);
    const known = new Set(this.list.peek().map(({id}) => id));
    const kept = this.records.all().filter(({id}) => !known.has(id));
    this.list.value = [...this.list.peek(), ...kept.map(({id, record: {name, print, sent}}) => new Upload({id, name, print, sent, size: print.size}))];
    this.io.tabs.postMessage({asks: true});
    this.wake();
  }

  // Stop all of them: another account may sign in. Records stay.
  close() {
    const all = this.list.peek();
    this.left();
    this.list.value = [];
    for (const upload of all) {
      clearTimeout(upload.silence);
      upload.stop.abort();
    }
  }

  /** @param {File[]} files */
  add(files) {
    this.list.value = [...this.list.peek(), ...files.map((file) => new Upload({file, name: file.name, size: file.size}))];
    this.startNext();
  }

  /**
   * Continue with the file, which was chosen again.
   *
   * @param {Upload} upload
   * @param {File} file
   */
  async give(upload, file) {
    try {
      const print = await printOf(file);
      if (upload.print && !samePrint(print, upload.print)) throw this.io.problem("file_differs");
      upload.file = file;
      this.queue(upload);
    } catch (error) {
      upload.set({step: "asks", error: error instanceof DOMException ? this.io.problem("file_unreadable") : error});
    }
  }

  /** @param {Upload} upload */
  queue(upload) {
    clearTimeout(upload.silence);
    upload.set({step: "queued", error: null});
    this.tell(upload, "queued");
    this.startNext();
  }

  /** @param {Upload} upload */
  pause(upload) {
    upload.stop.abort();
    upload.set({step: "paused", error: null, began: null});
    this.keep(upload);
    this.tell(upload, "paused");
  }

  /**
   * Send a file that the server has already.
   *
   * @param {Upload} upload
   */
  sendAgain(upload) {
    upload.again = true;
    upload.id = null;
    upload.set({sent: 0});
    this.queue(upload);
  }

  /**
   * Cancel an upload, or take it off the list.
   *
   * @param {Upload} upload
   */
  async cancel(upload) {
    const {id} = upload;
    const ends = id && upload.step !== "known";
    upload.stop.abort();
    this.remove(upload);
    if (!ends) return;
    this.tell(upload, "ended");
    for (const ms of WAITS_MS) {
      try {
        await this.io.end(id);
        return;
      } catch (error) {
        if (!error.retryable || error.status === 401) return; // it expires
      }
      await this.wait(ms, new AbortController().signal); // the server may still store the last bytes
    }
  }

  // Try again now, such as when the server is back.
  wake() {
    for (const wake of [...this.wakers]) wake();
  }

  // The page is closed: other tabs may continue.
  left() {
    for (const upload of this.list.peek()) {
      if (!upload.working) continue;
      this.keep(upload);
      this.tell(upload, "left");
    }
  }

  startNext() {
    for (const upload of this.list.peek()) {
      if (this.running >= PLACES) return;
      if (upload.step === "queued" && upload.file) this.run(upload, upload.file);
    }
  }

  /**
   * Send an upload until it is complete, paused or in need of a person.
   *
   * @param {Upload} upload
   * @param {File} file
   */
  async run(upload, file) {
    const stop = new AbortController();
    upload.stop = stop;
    this.running += 1;
    upload.set({step: "sending", began: null});
    try {
      for (let tries = 0; ; tries += 1) {
        const {sent} = upload.state.peek();
        try {
          await this.send(upload, file, stop.signal);
          return;
        } catch (error) {
          if (stop.signal.aborted) return;
          const known = error instanceof DOMException ? this.io.problem("file_unreadable") : error;
          if (!known.retryable || known.code === "storage_denied") {
            this.fail(upload, known);
            return;
          }
          if (upload.state.peek().sent > sent) tries = 0;
          upload.set({step: "waiting", error: known, began: null});
          this.tell(upload, "waiting");
          await this.wait(known.status === 401 ? null : WAITS_MS[Math.min(tries, WAITS_MS.length - 1)], stop.signal);
          if (stop.signal.aborted) return;
        }
      }
    } finally {
      this.running -= 1;
      this.startNext();
    }
  }

  /**
   * @param {Upload} upload
   * @param {any} error
   */
  fail(upload, error) {
    const step = error.code === "file_unreadable" ? "asks" : "failed";
    upload.set({step, error, began: null});
    this.tell(upload, step);
  }

  /**
   * @param {Upload} upload
   * @param {File} file
   * @param {AbortSignal} until
   */
  async send(upload, file, until) {
    const {io} = this;
    upload.print = await checkedPrint(io, upload, file);
    if (until.aborted || this.isElsewhere(upload)) return;
    const before = upload.id;
    const begun = await locate(io, upload, file, until);
    if (before && before !== upload.id) this.records.forget(before);
    if (until.aborted || this.isElsewhere(upload)) return; // another tab has begun meanwhile
    if (begun.known) {
      upload.set({step: "known", sent: file.size, recording: begun.known, began: null});
      return;
    }
    upload.set({step: "sending", sent: begun.offset, error: null, began: {sent: begun.offset, at: performance.now()}});
    this.keep(upload);
    this.tell(upload, "sending");
    const id = await sendRest(io, upload, file, until, begun.part_bytes ?? null, {
      onprogress: () => {
        if (performance.now() - this.toldAt < TELL_MS) return;
        this.toldAt = performance.now();
        this.tell(upload, "sending");
      },
      onstored: () => this.keep(upload),
      wait: (ms) => this.wait(ms, until),
    });
    const recording = await unlessMissing(io.recording(id, until));
    this.remove(upload);
    this.tell(upload, "ended");
    this.ondone(upload, recording);
  }

  /**
   * Take over the record of the same file, or leave the file to the upload that sends it.
   *
   * @param {Upload} upload
   */
  isElsewhere(upload) {
    const {print, file} = upload;
    const same = this.list.peek().find((each) => each !== upload && each.print && print && samePrint(each.print, print));
    if (!same || same.step === "known") return false;
    this.list.value = this.list.peek().filter((each) => each !== upload);
    if (same.working) return true;
    same.file = file;
    if (same.step !== "elsewhere") this.queue(same);
    return true;
  }

  /**
   * Keep an upload that has begun.
   *
   * @param {Upload} upload
   */
  keep({id, name, print, state}) {
    if (id && print) this.records.keep(id, {name, print, sent: state.peek().sent});
  }

  /** @param {Upload} upload */
  remove(upload) {
    clearTimeout(upload.silence);
    if (upload.id) this.records.forget(upload.id);
    this.list.value = this.list.peek().filter((each) => each !== upload);
  }

  /**
   * Tell the other tabs.
   *
   * @param {Upload} upload
   * @param {Said} said
   */
  tell({id, state}, said) {
    if (id) this.io.tabs.postMessage({id, said, sent: state.peek().sent, tab: this.tab});
  }

  /** @param {TabMessage} message of another tab */
  heard(message) {
    if ("asks" in message) {
      for (const upload of this.list.peek()) if (upload.working) this.tell(upload, /** @type {Said} */ (upload.step));
      return;
    }
    const {id, said, sent} = message;
    const upload = this.list.peek().find((each) => each.id === id) ?? this.fromOtherTab(id, said);
    if (!upload || (upload.working && !this.yields(upload, message))) return;
    clearTimeout(upload.silence);
    upload.stop.abort();
    if (said === "ended") this.remove(upload);
    else if (said === "left") this.takeOver(upload);
    else if (SENDS.includes(said)) {
      upload.set({step: "elsewhere", sent, error: null, began: null});
      upload.silence = setTimeout(() => this.takeOver(upload), SILENCE_MS);
    } else if (upload.step === "elsewhere") upload.set({step: upload.file ? "paused" : "asks", sent});
  }

  /**
   * Return true if an upload of this tab is over, or if another tab that has begun to send it goes first.
   *
   * @param {Upload} upload
   * @param {{said: Said, sent: number, tab: number}} message
   */
  yields({state}, {said, sent, tab}) {
    const mine = state.peek().sent;
    return said === "ended" || (said === "sending" && (sent > mine || (sent === mine && tab > this.tab)));
  }

  /** @param {Upload} upload that its tab no longer sends */
  takeOver(upload) {
    if (upload.file) this.queue(upload);
    else upload.set({step: "asks"});
  }

  /**
   * @param {string} id
   * @param {Said} said
   */
  fromOtherTab(id, said) {
    const record = said === "ended" ? null : this.records.get(id);
    if (!record) return null;
    const {name, print, sent} = record;
    const upload = new Upload({id, name, print, sent, size: print.size});
    this.list.value = [...this.list.peek(), upload];
    return upload;
  }

  /**
   * Wait for so long, for `wake()` or for the signal; without a time, only for these.
   *
   * @param {number | null} ms
   * @param {AbortSignal} until
   * @returns {Promise<void>}
   */
  wait(ms, until) {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.wakers.delete(end);
        until.removeEventListener("abort", end);
        resolve();
      };
      const timer = ms === null ? undefined : setTimeout(end, ms);
      this.wakers.add(end);
      until.addEventListener("abort", end);
    });
  }
}
