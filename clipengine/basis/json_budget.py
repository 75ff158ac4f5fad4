"""Budget of a JSON text, which is spent before it is parsed: Python's parser builds every value first. Pure."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from clipengine.basis.budget import Refusal

MAX_NUMBER_CHARACTERS = 40  # of a number in a token or a document of a provider

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

    def loads(self, text: str) -> Any:
        """Return the value of a text within the limits, whose numbers are short and finite.

        Raises the error of the document, ValueError if the text is not JSON, and RecursionError.
        """
        self.check(text)
        return json.loads(text, parse_int=self._integer, parse_float=self._number, parse_constant=self._refuse_number)

    def _integer(self, digits: str) -> int:
        return int(digits) if len(digits) <= MAX_NUMBER_CHARACTERS else self._refuse_number(digits)

    def _number(self, digits: str) -> float:
        found = float(digits) if len(digits) <= MAX_NUMBER_CHARACTERS else math.inf
        return found if math.isfinite(found) else self._refuse_number(digits)

    def _refuse_number(self, _: str) -> NoReturn:
        raise self.refusal(f"{self.document} has a number that is too long or not finite")
