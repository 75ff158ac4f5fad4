// What the signed-in caller may do, as the server answers it for the session. The page offers only that.

/** @typedef {"audit" | "batches" | "clips" | "deliveries" | "keys" | "recordings" | "rules" | "sessions" | "settings" | "transcriptions" | "uploads" | "users" | "webhooks"} Kind */

/** @type {Pick<Session, "id" | "may">} */
let caller = {id: "", may: {}};

/** @param {Pick<Session, "id" | "may">} who */
export function setCaller(who) {
  caller = who;
}

/** @param {string} id of a user or a key */
export const isCaller = (id) => id === caller.id;

/** Return true if the caller may make clips of recordings, and store segments and transcripts with them. */
export const mayEdit = () => may("write", "recordings");

/**
 * Return true if the caller may do this with the object of a kind, which a path names first: those of shares and transcripts
 * begin with a clip and a recording. Without an object: with any that the caller creates or has created.
 *
 * @param {Action} action
 * @param {Kind} kind
 * @param {{created_by: string | null}} [object]
 */
export function may(action, kind, object) {
  const extent = caller.may[kind]?.[action];
  return extent === "all" || (extent === "own" && (!object || object.created_by === caller.id));
}
