"""Cost of the sweep, which every engine runs each second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peewee
import pytest

from clipengine.api.http.requests.rules import RuleClipBodies
from clipengine.engine import Engine
from clipengine.settings.settings import Settings


def test_sweep_without_work_compiles_one_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To compile a query takes several times as long as to run it. That of the sources of transcriptions varies."""
    compiled: list[str] = []
    execute = peewee.Database.execute

    def noted(self: peewee.Database, query: Any, *args: Any, **options: Any) -> Any:
        compiled.append(str(query.sql()[0]))
        return execute(self, query, *args, **options)

    engine = Engine.build(Settings.model_validate({"data": {"folder": tmp_path / "data"}}), RuleClipBodies())
    try:
        engine._run_maintenance()
        monkeypatch.setattr(peewee.Database, "execute", noted)
        engine._run_maintenance()
    finally:
        engine.stop(60)
    assert [each for each in compiled if 'FROM "transcriptions"' not in each] == []
