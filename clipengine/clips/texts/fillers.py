"""Words without a meaning that speakers say while they think, by language. Pure.

Words that also mean something in their language are not listed.
"""

from __future__ import annotations

_FILLERS = {
    "da": "øh øhm øhh hm hmm",
    "de": "äh ähm ähh ähmm öh öhm hm hmm",
    "en": "um umm uh uhh uhm erm hm hmm mm mmm",
    "es": "eeh ehm em mm mmm hm hmm",
    "fr": "euh euhh heu hum hm hmm",
    "it": "ehm uhm mm mmm hm hmm",
    "ja": "えー えーと えーっと えっと うーん んー",
    "nl": "eh ehm uh uhm euh hm hmm",
    "no": "øh øhm eh ehm hm hmm",
    "pl": "yy yyy eee hm hmm",
    "pt": "ãh ahn hum hm hmm",
    "sv": "öh öhm eh ehm hm hmm",
}
_EDGES = "\"'“”„‘’«»()[]-–—….,;:!?、。"


def has_fillers(language: str) -> bool:
    """Return True if the fillers of the language are known."""
    return _main(language) in _FILLERS


def is_filler(word: str, language: str) -> bool:
    """Return True if the word, with any punctuation, is a filler of the language, a tag of BCP 47."""
    return word.casefold().strip().strip(_EDGES) in _FILLERS.get(_main(language), "").split()


def _main(language: str) -> str:
    return language.split("-")[0].lower()
