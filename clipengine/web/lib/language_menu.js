// The menu that chooses the language of the page.

import {menuButton} from "./menus.js";
import {chooseLanguage, language, LANGUAGES, t} from "./texts.js";

/** @returns {import("./menus.js").MenuItem[]} */
export const languageItems = () =>
  Object.entries(LANGUAGES).map(([tag, name]) => ({
    text: name,
    lang: tag,
    icon: tag === language ? "check" : "globe",
    run: () => tag === language || chooseLanguage(tag),
  }));

export const languageMenu = () => menuButton(t("Language"), "globe", languageItems);
