"""Mutation of texts of lines."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

_MAX_LINES = 20_000


def mutated(random: Random, seeds: Sequence[str], texts: Sequence[str], *, repeated: Sequence[int]) -> bytes:
    """Return a seed with lines that are repeated, removed and moved, and with some of `texts` in them."""
    lines = random.choice(seeds).split("\n")
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(lines))
        way = random.randrange(5)
        if way == 0:
            lines[place:place] = lines[place : place + random.randint(1, 4)] * random.choice(repeated)
        elif way == 1:
            del lines[place : place + random.randint(1, 3)]
            lines = lines or [""]
        elif way == 2:
            other = random.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        else:
            at = random.randint(0, len(lines[place]))
            lines[place] = lines[place][:at] + random.choice(texts) + lines[place][at + way - 3 :]
        del lines[_MAX_LINES:]
    data = bytearray("\n".join(lines).encode(errors="surrogatepass"))
    if random.random() < 0.2 and data:
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data)
