// What the browser keeps of unfinished uploads, so that they survive a reload, and what its tabs tell each other about them. No DOM.

/** @import {Print} from "./file_print.js" */

/** @typedef {{account: string, name: string, print: Print, sent: number, at: number}} UploadRecord `at` in ms: when it was kept */
/** @typedef {"queued" | "sending" | "waiting" | "paused" | "asks" | "failed" | "left" | "ended"} Said about an upload: its step, or that its tab has closed or it has ended */
/** @typedef {{id: string, said: Said, sent: number, tab: number} | {asks: true}} TabMessage */
/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">} Keeper */

const PREFIX = "upload.";
const KEPT_MS = 30 * 24 * 3600 * 1000; // the server has deleted the bytes long before

/** @param {Keeper} storage */
const recordsIn = (storage) => Array.from({length: storage.length}, (_, at) => storage.key(at) ?? "").filter((name) => name.startsWith(PREFIX));

/**
 * Return true if there are unfinished uploads of any account.
 *
 * @param {Keeper} storage
 */
export const hasRecords = (storage) => recordsIn(storage).length > 0;

export class UploadRecords {
  /**
   * @param {Keeper} storage
   * @param {string} account id of the user or the key that is signed in
   */
  constructor(storage, account) {
    this.storage = storage;
    this.account = account;
  }

  /**
   * @param {string} id of the upload
   * @param {Pick<UploadRecord, "name" | "print" | "sent">} values
   */
  keep(id, {name, print, sent}) {
    /** @type {UploadRecord} */
    const record = {account: this.account, name, print, sent, at: Date.now()};
    try {
      this.storage.setItem(PREFIX + id, JSON.stringify(record));
    } catch {} // storage may be full or blocked: the upload goes on without it
  }

  /** @param {string} id */
  forget(id) {
    this.storage.removeItem(PREFIX + id);
  }

  /**
   * Return the record of an upload of this account, or null.
   *
   * @param {string} id
   */
  get(id) {
    try {
      /** @type {UploadRecord | null} */
      const record = JSON.parse(this.storage.getItem(PREFIX + id) ?? "null");
      return record?.account === this.account ? record : null;
    } catch {
      return null; // of another version
    }
  }

  // Return the uploads of this account, and delete records that are of no use any more.
  all() {
    /** @type {{id: string, record: UploadRecord}[]} */
    const found = [];
    for (const name of recordsIn(this.storage)) {
      const id = name.slice(PREFIX.length);
      const record = this.get(id);
      if (record && Date.now() - record.at > KEPT_MS) this.forget(id);
      else if (record) found.push({id, record});
    }
    return found.sort((one, other) => one.record.at - other.record.at);
  }
}
