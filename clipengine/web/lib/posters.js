// Posters of list rows. They load when they come into view and a few at a time, so that other requests do not wait for
// them. The placeholder stays until the image is there, and for good if there is none.

import {h} from "./dom.js";

const AT_ONCE = 3; // a browser opens six connections to a server, and the server may have to make the image first

const none = new Set(); // URLs without an image
const waiting = new Set();
const running = new Set();
const seen = new IntersectionObserver((entries) => {
  for (const {target, isIntersecting} of entries) {
    if (isIntersecting) waiting.add(target);
    else waiting.delete(target);
  }
  next();
}, {rootMargin: "120px"});

addEventListener("connection", ({detail}) => detail && none.clear()); // the server may only have been unreachable

// Return an image that loads when visible, or null if the URL is known to have none.
export function poster(address) {
  if (none.has(address)) return null;
  const image = h("img", {alt: "", width: "112", height: "63", class: "coming", "data-address": address});
  image.addEventListener("load", () => {
    image.classList.remove("coming");
    ended(image);
  });
  image.addEventListener("error", () => {
    if (!running.has(image)) return; // cancelled
    none.add(address);
    image.remove();
    ended(image);
  });
  seen.observe(image);
  return image;
}

// Cancel all loading. Called when a view is left.
export function stopPosters() {
  seen.disconnect();
  waiting.clear();
  const stopped = [...running];
  running.clear();
  for (const image of stopped) image.removeAttribute("src");
}

function ended(image) {
  running.delete(image);
  next();
}

function next() {
  for (const image of waiting) {
    if (running.size >= AT_ONCE) return;
    waiting.delete(image);
    if (!image.isConnected) continue;
    seen.unobserve(image);
    running.add(image);
    image.src = image.dataset.address;
  }
}
