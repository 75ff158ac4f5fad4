"""Phrases with which speakers begin a point, such as "The key is", by language. Pure."""

from __future__ import annotations

from clipengine.clips.texts.words import indexed_words, words_of

_MOST_CHARACTERS = 200  # of a sentence that are read

# A phrase with a comma needs a comma in the text: "First, …" begins a point, "First we had lunch" does not.
_PHRASES = {
    "de": """erstens|als erstes|zweitens|drittens|das wichtigste|am wichtigsten|wichtig ist|entscheidend ist
        |der entscheidende punkt|der springende punkt|der punkt ist|der grund dafür|der unterschied|die frage ist
        |das problem ist|die lösung|die lehre daraus|die idee ist|die idee dahinter|zusammenfassend|zusammengefasst
        |kurz gesagt|unterm strich|im kern|stellen sie sich vor|stellt euch vor|stell dir vor|nehmen wir an
        |merken sie sich|mein rat|mein tipp|das überraschende""",
    "en": """first,|first of all|firstly|the first thing|the first point|second,|secondly|third,|thirdly|finally,|lastly
        |the key|the main point|the main thing|the main idea|the point is|my point|the most important|most importantly
        |what matters|here's the thing|here is the thing|the bottom line|the takeaway|the lesson|the problem is
        |the reason|the difference|the question is|the answer is|the solution|the idea is|the trick|the secret
        |the truth is|in summary|to summarize|to summarise|to sum up|in short|in conclusion|to conclude
        |the conclusion|let me give you an example|imagine|suppose|remember that|my advice|my tip|the surprising""",
    "es": """primero,|en primer lugar|segundo,|en segundo lugar|tercero,|por último|lo más importante|lo importante
        |la clave|el punto es|el problema es|la razón|la diferencia|la pregunta es|la solución|la idea es|en resumen
        |en conclusión|resumiendo|imagina|imaginen|imagínense|mi consejo""",
    "fr": """premièrement|tout d'abord|d'abord,|deuxièmement|troisièmement|enfin,|le plus important|l'important
        |ce qui compte|la clé|le problème c'est|le problème est|la raison|la différence|la question est|la solution
        |l'idée|en résumé|pour résumer|en bref|en conclusion|pour conclure|imaginez|mon conseil""",
    "it": """primo,|per prima cosa|innanzitutto|secondo,|in secondo luogo|terzo,|infine,|la cosa più importante
        |l'importante|il punto è|la chiave|il problema è|la ragione|la differenza|la domanda è|la soluzione|l'idea è
        |in sintesi|riassumendo|in breve|in conclusione|immaginate|immagina|il mio consiglio""",
    "nl": """ten eerste|als eerste|ten tweede|ten derde|tot slot|het belangrijkste|belangrijk is|het punt is|de kern
        |het probleem is|de reden|het verschil|de vraag is|de oplossing|het idee is|samengevat|samenvattend|kortom
        |stel je voor|mijn advies""",
    "pt": """primeiro,|em primeiro lugar|segundo,|em segundo lugar|terceiro,|por fim|por último|o mais importante
        |o importante|a chave|o ponto é|o problema é|a razão|a diferença|a questão é|a pergunta é|a solução|a ideia é
        |em resumo|resumindo|em conclusão|imagine|imaginem|meu conselho""",
}
_LEADS = """also and aber allora así but dus e en ensuite então entonces et i ja jetzt ma maar mais nun now och oder
    okay ok or pero por poi puis right so und well y"""  # words that may precede a phrase
_MOST_LEADS = 2


def _folded(phrases: str) -> dict[str, bool]:
    """Return the words of each phrase, and whether a comma follows them. The longest phrases come first."""
    listed = sorted((phrase.strip() for phrase in phrases.split("|")), key=len, reverse=True)
    return {indexed_words(phrase): phrase.endswith(",") for phrase in listed}


_KNOWN = {language: _folded(phrases) for language, phrases in _PHRASES.items()}
_LEADING = frozenset(_LEADS.split())
LANGUAGES = tuple(sorted(_KNOWN))


def point_phrase(text: str, language: str) -> str | None:
    """Return the phrase with which the sentence begins a point, as written, or None."""
    known = _KNOWN.get(language.split("-")[0].lower())
    if known is None:
        return None
    text = text[:_MOST_CHARACTERS]
    words = list(words_of(text))
    for _ in range(_MOST_LEADS):
        if len(words) > 1 and words[0].folded in _LEADING:
            words.pop(0)
    said = "".join(f"{word.folded} " for word in words)
    for phrase, comma in known.items():
        if said.startswith(f"{phrase} "):
            end = words[phrase.count(" ")].end
            if not comma or text[end:].lstrip().startswith(","):
                return text[words[0].start : end]
    return None
