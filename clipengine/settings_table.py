"""Base classes: of the tables of the settings file, and of the options of requests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


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
