// Posters of list rows. They load when they come into view and a few at a time, so that other requests do not wait for
// them. The placeholder stays until the image is there, and for good if there is none.

import {h} from "./dom.js";

const MAX_PARALLEL = 3; // a browser opens six connections to a server, and the server may have to make the image first

/** @type {Set<string>} */
const missing = new Set(); // URLs without an image
/** @type {Set<HTMLImageElement>} */
const waiting = new Set();
/** @type {Set<HTMLImageElement>} */
const running = new Set();
const observer = new IntersectionObserver(
  (entries) => {
    for (const {target, isIntersecting} of entries) {
      const image = /** @type {HTMLImageElement} */ (target);
      if (isIntersecting) waiting.add(image);
      else waiting.delete(image);
    }
    loadNext();
  },
  {rootMargin: "120px"},
);

addEventListener("connection", ({detail}) => detail && missing.clear()); // the server may only have been unreachable

/**
 * Return an image that loads when visible, or null if the URL is known to have none.
 *
 * @param {string} address
 */
export function posterImage(address) {
  if (missing.has(address)) return null;
  const image = h("img", {alt: "", width: "112", height: "63", class: "coming", "data-address": address});
  image.addEventListener("load", () => {
    image.classList.remove("coming");
    finish(image);
  });
  image.addEventListener("error", () => {
    if (!running.has(image)) return; // cancelled
    missing.add(address);
    image.remove();
    finish(image);
  });
  observer.observe(image);
  return image;
}

// Cancel all loading. Called when a view is left.
export function cancelPosters() {
  observer.disconnect();
  waiting.clear();
  const stopped = [...running];
  running.clear();
  for (const image of stopped) image.removeAttribute("src");
}

/** @param {HTMLImageElement} image */
function finish(image) {
  running.delete(image);
  loadNext();
}

function loadNext() {
  for (const image of waiting) {
    if (running.size >= MAX_PARALLEL) return;
    waiting.delete(image);
    observer.unobserve(image);
    if (!image.isConnected) {
      observer.observe(image); // reports it again if its row comes back, even to the same place
      continue;
    }
    running.add(image);
    image.src = image.dataset.address ?? "";
  }
}
