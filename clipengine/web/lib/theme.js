// Runs before the first paint, so that nothing flashes: the theme that was chosen, else the system's.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // storage may be forbidden: the system's theme then
    }
    document.documentElement.dataset.theme = chosen || (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("theme", apply);
  apply();
})();
