// The state of one upload. It is one immutable value, which only `Uploads` changes. No DOM.

import {signal} from "../vendor/signals-core.js";

/** @import {Print} from "./file_print.js" */

/**
 * queued: for one of the places · sending · waiting: tries again by itself, after `error` · paused · elsewhere: another tab has it
 * · asks: for the file · failed: needs a person, because of `error` · known: the server has this file as a recording.
 *
 * @typedef {"queued" | "sending" | "waiting" | "paused" | "elsewhere" | "asks" | "failed" | "known"} Step
 */

/**
 * `began` is where and when this run has begun to send, and `anew` true if the server had lost what was sent before.
 *
 * @typedef {Readonly<{step: Step, sent: number, error: any, began: {sent: number, at: number} | null, anew: boolean, recording: Recording | null}>} UploadState
 */

let made = 0;

/** @type {Step[]} */
const WORKING = ["queued", "sending", "waiting"];

export class Upload {
  /**
   * @param {{name: string, size: number, file?: File | null, id?: string | null, print?: Print | null, sent?: number}} values
   */
  constructor({name, size, file = null, id = null, print = null, sent = 0}) {
    made += 1;
    this.key = `upload ${made}`;
    this.name = name;
    this.size = size;
    this.file = file;
    /** @type {string | null} of the server, once it has begun */
    this.id = id;
    this.print = print;
    this.again = false; // true if it is sent although the server has it
    this.direct = true; // false if the store does not take its parts
    this.stop = new AbortController(); // of the present run
    /** @type {ReturnType<typeof setTimeout> | undefined} until another tab is taken as gone */
    this.silence = undefined;
    this.state = signal(/** @type {UploadState} */ ({step: file ? "queued" : "asks", sent, error: null, began: null, anew: false, recording: null}));
  }

  get step() {
    return this.state.peek().step;
  }

  // True while this tab sends it, or will by itself.
  get working() {
    return WORKING.includes(this.step);
  }

  /** @param {Partial<UploadState>} values */
  set(values) {
    this.state.value = {...this.state.peek(), ...values};
  }
}
