"""Base classes of the tables of the settings file and of the options of requests, and a rule of their texts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

NO_NUL: dict[str, JsonValue] = {"pattern": r"^[^\u0000]*$"}  # the JSON schema of `without_nul`


def without_nul(text: str) -> str:
    """Return the text. Raises an error of pydantic if it has U+0000, which PostgreSQL cannot store."""
    if "\0" in text:
        raise PydanticCustomError("nul", "must not contain U+0000", {"hint": "Leave this character out."})
    return text


class SettingsTable(BaseModel):
    """Frozen table that rejects unknown keys, NaN and infinity, and booleans in place of other values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _reject_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        """Reject `true` where a number is expected, which Python would accept as 1."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError(f"{str(value).lower()} is not possible here")
        return value


class Options(BaseModel):
    """Frozen options of a request that reject unknown keys, NaN and infinity, and values of another type."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={"additionalProperties": False},
    )
