"""Language tags of transcripts and tracks (BCP 47)."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from clipengine.errors import InvalidTranscript

MAX_LANGUAGE_CHARACTERS = 35  # of the longest registered tag (RFC 5646)


def parse_language(tag: str) -> str:
    """Return a BCP 47 tag in its canonical form: `en`, `pt-BR`, `zh-Hant`. Raises InvalidTranscript."""
    import langcodes  # here, because loading its tables takes 0.1 s, which many processes do not need

    try:
        if len(tag) <= MAX_LANGUAGE_CHARACTERS and tag.isascii() and langcodes.tag_is_valid(tag):
            return langcodes.standardize_tag(tag)
    except ValueError:
        pass
    hint = "Use a tag of the IANA registry, such as en, pt-BR, zh-Hant or und (BCP 47)."
    raise InvalidTranscript(f"{tag[:80]!r} is not a language tag", hint=hint)


def validated_language(tag: str) -> str:
    """Return the tag of a field in its canonical form. Raises PydanticCustomError."""
    try:
        return parse_language(tag)
    except InvalidTranscript as error:
        raise PydanticCustomError("language", "{reason}", {"reason": error.message, "hint": error.hint}) from None


def canonical_language(tag: str) -> str:
    """Return the tag in its canonical form, or `und` if it is not one."""
    try:
        return parse_language(tag)
    except InvalidTranscript:
        return "und"


def language_in_name(name: str) -> str:
    """Return the language in the name of a file, `talk.en.vtt`, or `und`."""
    parts = name.rsplit(".", 2)
    return canonical_language(parts[1]) if len(parts) == 3 else "und"


def alpha3_of(language: str) -> str:
    """Return the code of ISO 639-2 for a language tag, or `und`."""
    import langcodes  # see `parse_language`

    try:
        return langcodes.Language.get(language).to_alpha3()
    except LookupError:
        return "und"
