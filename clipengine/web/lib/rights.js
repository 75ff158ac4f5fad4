// What the signed-in caller may do. The server decides again; the page shows only what it allows.

/** @type {Session} */
let caller = {id: "", name: "", scopes: []};

/** @param {Session} who */
export function setCaller(who) {
  caller = who;
}

export const mayWrite = () => caller.scopes.includes("write");

/**
 * An editor deletes only own objects.
 *
 * @param {{created_by: string | null}} object
 */
export const mayDelete = (object) => mayWrite() && (caller.role !== "editor" || object.created_by === caller.id);
