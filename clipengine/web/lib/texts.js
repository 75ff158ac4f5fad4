// Texts of the page in the user's language. The English text is the key; `texts/de.js` has the German texts, and is loaded
// only if German is chosen. Modules that import this one wait for it, so that nothing is drawn in another language first.

export const LANGUAGES = {en: "English", de: "Deutsch"};

const STORAGE_KEY = "language";

function stored() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null; // storage may be blocked: use the browser's languages
  }
}

const wanted = [stored(), ...navigator.languages].filter(Boolean);
const baseOf = (tag) => tag.toLowerCase().split("-")[0];
const asked = baseOf(wanted.find((tag) => baseOf(tag) in LANGUAGES) || "en");

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

// Return a number with at most so many digits after the decimal separator.
export const formatNumber = (value, digits = 0) =>
  digits ? value.toLocaleString(locale, {minimumFractionDigits: digits, maximumFractionDigits: digits}) : NUMBER.format(value);

const shown = (value) => (typeof value === "number" ? NUMBER.format(value) : value);
const fill = (text, values) =>
  text
    .split(/\{(\w+)\}/)
    .map((part, at) => (at % 2 ? shown(values[part]) : part))
    .filter((part) => part !== "");

// t("{name} is ready", {name})
export const t = (text, values = {}) => fill(texts[text] ?? text, values).join("");

// plural(count, "{count} clip", "{count} clips"). The key is the last text, and its entry has a text for each category of
// Intl.PluralRules.
export function plural(count, one, other, values = {}) {
  const forms = texts[other] ?? {one, other};
  return fill(forms[RULES.select(count)] ?? forms.other, {count, ...values}).join("");
}

// Return children for `h`: the values may be elements. rich("Press {key}", {key: h("kbd", {}, "I")})
export const rich = (text, values) => fill(texts[text] ?? text, values);

// Return a text of the server, translated if it is a fixed one: the title of an error, or a hint. Others are English.
export const fromServer = (text) => texts[text] ?? text;

// Keep the language, and show the page in it. Views get the event "language" before, to keep their state in the address.
export function chooseLanguage(tag) {
  localStorage.setItem(STORAGE_KEY, tag);
  dispatchEvent(new Event("language"));
  location.reload();
}
