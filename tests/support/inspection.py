"""Verification of a clip's file against its plan as in the engine, but in this process."""

from __future__ import annotations

import json
import os
from typing import Any

from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport, FileReport
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.worker.inspector import inspect


def hold_to_plan(descriptor: int, plan: FilePlan, cut: dict[str, Any]) -> None:
    """Raise VerificationFailed unless the file is the planned clip and matches the report."""
    found = json.loads(json.dumps(inspect(DescriptorSource(descriptor))))
    plan.check(CutReport.of(json.loads(json.dumps(cut))), FileReport.of(found), os.fstat(descriptor).st_size)
