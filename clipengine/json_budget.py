"""Budget of a JSON text, which is spent before it is parsed: Python's parser builds every value first. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clipengine.budget import Refusal

# A whole string, a bracket or a comma. Possessive, and a string may lack its end: the scan is linear on any input.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{},]', re.DOTALL)


@dataclass(frozen=True)
class JsonLimits:
    """Limits of one kind of JSON text: levels, the strings, brackets and commas, and members of an object or array."""

    document: str
    refusal: Refusal
    max_depth: int
    max_tokens: int
    max_members: int | None = None

    def check(self, text: str) -> None:
        """Raise the error of the document as soon as the text is deeper, longer or wider than allowed."""
        commas: list[int] = []  # of each object or array that is open
        for count, match in enumerate(_TOKENS.finditer(text)):
            if count == self.max_tokens:
                raise self.refusal(f"{self.document} has more than {count} strings, brackets and commas")
            token = text[match.start()]
            if token in "[{":
                commas.append(0)
                if len(commas) > self.max_depth:
                    raise self.refusal(f"{self.document} is nested deeper than {self.max_depth} levels")
            elif token in "]}" and commas:
                commas.pop()
            elif token == "," and commas:
                commas[-1] += 1
                if commas[-1] == self.max_members:
                    raise self.refusal(
                        f"an object or array of {self.document} has more than {self.max_members} members"
                    )
