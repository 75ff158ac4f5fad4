// What tells whether a file is the one whose upload has begun: its size, its time, and checksums of its first and last MiB. No DOM.
//
// The checksum is CRC-32, because a page over plain HTTP has no `crypto.subtle`, and a file that was changed or mixed up is what it
// finds, not a forgery. Python's `zlib.crc32` returns the same number.

const END_BYTES = 1 << 20;
const POLYNOMIAL = 0xedb88320;

/** @typedef {Readonly<{size: number, modified: number, head: number, tail: number}>} Print */

const TABLE = Uint32Array.from({length: 256}, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? POLYNOMIAL ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @param {Uint8Array} bytes */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** @param {Blob} part */
const checksum = async (part) => crc32(new Uint8Array(await part.arrayBuffer()));

/**
 * Return the print of a file. It rejects with a DOMException if the file can no longer be read, or has changed since it was chosen.
 *
 * @param {File} file
 * @returns {Promise<Print>}
 */
export async function printOf(file) {
  const {size, lastModified: modified} = file;
  const [head, tail] = await Promise.all([checksum(file.slice(0, END_BYTES)), checksum(file.slice(Math.max(0, size - END_BYTES)))]);
  return {size, modified, head, tail};
}

/**
 * @param {Print} one
 * @param {Print} other
 */
export const samePrint = (one, other) => one.size === other.size && one.modified === other.modified && one.head === other.head && one.tail === other.tail;
