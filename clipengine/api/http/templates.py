"""HTML of the templates in `api/templates`: the pages of shares and of the manual."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def rendered(name: str, **values: Any) -> str:
    """Return the HTML of a template with these values, which are escaped unless the template marks them as safe."""
    return _environment().get_template(f"{name}.html").render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # takes 40 ms, which the start of a server saves

    return Environment(
        loader=PackageLoader("clipengine.api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
