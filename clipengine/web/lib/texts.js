// Texts of the page in the user's language. The English text is the key; `texts/de.js` has the German texts, and is loaded
// only if German is chosen. Modules that import this one wait for it, so that nothing is drawn in another language first.

/** @typedef {Record<string, string | number>} Values */
/** @typedef {Record<string, string | Record<string, string>>} Catalogue by the English text */

/** @type {Record<string, string>} */
export const LANGUAGES = {de: "Deutsch", en: "English"};

const STORAGE_KEY = "language";

function stored() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null; // storage may be blocked: use the browser's languages
  }
}

const wanted = [stored(), ...navigator.languages].filter((tag) => tag !== null);
/** @param {string} tag */
const baseOf = (tag) => tag.toLowerCase().split("-")[0];
const asked = baseOf(wanted.find((tag) => baseOf(tag) in LANGUAGES) || "en");

/** @returns {Promise<[language: string, texts: Catalogue]>} */
async function load() {
  if (asked === "en") return ["en", {}];
  try {
    return [asked, (await import(`../texts/${asked}.js`)).default];
  } catch (error) {
    console.warn("no texts:", error.message);
    return ["en", {}];
  }
}

export const [language, texts] = await load();
export const locale = navigator.languages.find((tag) => baseOf(tag) === language) || language; // with its region
document.documentElement.lang = language;

const NUMBER = new Intl.NumberFormat(locale);
const RULES = new Intl.PluralRules(language);

/**
 * Return a number with at most so many digits after the decimal separator.
 *
 * @param {number} value
 * @param {number} [digits]
 */
export const formatNumber = (value, digits = 0) =>
  digits ? value.toLocaleString(locale, {minimumFractionDigits: digits, maximumFractionDigits: digits}) : NUMBER.format(value);

/** @param {string} text */
function textOf(text) {
  const found = texts[text];
  return typeof found === "string" ? found : text;
}

/**
 * @template T
 * @param {T | number} value
 */
const shown = (value) => (typeof value === "number" ? NUMBER.format(value) : value);
/**
 * @template T
 * @param {string} text
 * @param {Record<string, T | number>} values
 */
const fill = (text, values) =>
  text
    .split(/\{(\w+)\}/)
    .map((part, at) => (at % 2 ? shown(values[part]) : part))
    .filter((part) => part !== "");

/**
 * t("{name} is ready", {name})
 *
 * @param {string} text
 * @param {Values} [values]
 */
export const t = (text, values = {}) => fill(textOf(text), values).join("");

/**
 * plural(count, "{count} clip", "{count} clips"). The key is the last text, and its entry has a text for each category of
 * Intl.PluralRules.
 *
 * @param {number} count
 * @param {string} one
 * @param {string} other
 * @param {Values} [values]
 */
export function plural(count, one, other, values = {}) {
  /** @type {Record<string, string>} */
  const forms = typeof texts[other] === "object" ? texts[other] : {one, other};
  return fill(forms[RULES.select(count)] ?? forms.other, {count, ...values}).join("");
}

/**
 * Return children for `h`: the values may be elements. rich("Press {key}", {key: h("kbd", {}, "I")})
 *
 * @param {string} text
 * @param {Record<string, string | number | Node>} values
 */
export const rich = (text, values) => fill(textOf(text), values);

/**
 * Return a text of the server, translated if it is a fixed one: the title of an error, or a hint. Others are English.
 *
 * @param {string} text
 */
export const fromServer = (text) => textOf(text);

/**
 * Keep the language, and show the page in it. Views get the event "language" before, to keep their state in the address.
 *
 * @param {string} tag
 */
export function chooseLanguage(tag) {
  localStorage.setItem(STORAGE_KEY, tag);
  dispatchEvent(new Event("language"));
  location.reload();
}
