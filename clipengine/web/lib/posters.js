// Posters of rows: fetched as they come into view and a few at a time, so that what a person asks for next never waits
// behind pictures. A place stays as quiet as it was until its picture is there, and for good where none can be had.

import {h} from "./dom.js";

const AT_ONCE = 3; // a browser has six connections to a server, and the server makes a picture on the spot

const none = new Set(); // addresses of which there is no picture
const waiting = new Set();
const running = new Set();
const seen = new IntersectionObserver((entries) => {
  for (const {target, isIntersecting} of entries) {
    if (isIntersecting) waiting.add(target);
    else waiting.delete(target);
  }
  next();
}, {rootMargin: "120px"});

addEventListener("connection", ({detail}) => detail && none.clear()); // it may only have been that the server went away

// The image of an address, to be put into its place; null where it is known that there is none.
export function poster(address) {
  if (none.has(address)) return null;
  const image = h("img", {alt: "", width: "112", height: "63", class: "coming", "data-address": address});
  image.addEventListener("load", () => {
    image.classList.remove("coming");
    ended(image);
  });
  image.addEventListener("error", () => {
    if (!running.has(image)) return; // it was stopped
    none.add(address);
    image.remove();
    ended(image);
  });
  seen.observe(image);
  return image;
}

// Whoever wanted them has left.
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
