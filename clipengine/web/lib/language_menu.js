// The menu that chooses the language of the page.

import {chooseLanguage, language, LANGUAGES, t} from "./texts.js";
import {menuButton} from "./ui.js";

/** @returns {import("./ui.js").MenuItem[]} */
export const languageItems = () =>
  Object.entries(LANGUAGES).map(([tag, name]) => ({
    text: name,
    lang: tag,
    icon: tag === language ? "check" : "globe",
    run: () => tag === language || chooseLanguage(tag),
  }));

export const languageMenu = () => menuButton(t("Language"), "globe", languageItems);
