"""Whole runs record the groups that pass; builds leave out groups that are proved."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

from tests.support.group_choice import Proof, read_proofs, write_proofs
from tests.support.pytest_runs import closing_line, run_pytest, write_files

FILE = f"tests/proof/{'.'.join(platform.python_version_tuple()[:2])}.txt"
GOOD, SKIPPED, FAILING, PLAIN = (f"tests/test_{name}.py" for name in ("good", "skipped", "failing", "plain"))
_GOOD = """
    import subprocess, sys, pytest
    def test_plain(): pass
    @pytest.mark.exhaustive
    def test_child():  # its time counts
        subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.8: pass"])
    @pytest.mark.exhaustive
    @pytest.mark.xfail(strict=True)
    def test_expected_failure(): assert False
    @pytest.mark.typical(1)  # the others are marked `exhaustive` while tests are collected
    @pytest.mark.parametrize("n", range(5))
    def test_each(n): pass
"""
_FILES = {
    "tests/conftest.py": "from tests.support.selection import pytest_collection_modifyitems",
    GOOD: _GOOD,
    SKIPPED: """
        import pytest
        pytestmark = pytest.mark.exhaustive
        def test_a(): pass
        def test_b(): pytest.skip("missing")
    """,
    FAILING: """
        import pytest
        pytestmark = pytest.mark.outage
        def test_a(): pass
        def test_b(): assert False
    """,
    PLAIN: "def test_a(): pass",
}


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(folder, *arguments, plugin="groups")


def test_groups_are_recorded_when_all_of_their_tests_have_passed(tmp_path: Path) -> None:
    write_files(tmp_path, _FILES)
    done = _run(tmp_path, "-n", "2", "--dist", "worksteal", "--record-groups")
    assert closing_line(done) == "1 failed, 10 passed, 1 skipped, 1 xfailed", done.stdout + done.stderr
    proofs = read_proofs(tmp_path / FILE)
    assert [*proofs] == [FAILING, GOOD, SKIPPED]
    assert [proofs[each].inputs for each in (FAILING, SKIPPED)] == ["-", "-"]
    assert re.fullmatch("[0-9a-f]{16}", proofs[GOOD].inputs)
    assert proofs[GOOD].cost >= 1

    # What only some of the tests show stands beside it; a cost that changed little stays.
    write_proofs(tmp_path / FILE, proofs | {SKIPPED: Proof("a" * 16, 7), GOOD: Proof("b" * 16, 3)})
    for some in (["-k", "test_child"], [f"{GOOD}::test_child"]):
        _run(tmp_path, "--record-groups", *some)
        assert read_proofs(tmp_path / FILE)[GOOD].inputs == "b" * 16
    _run(tmp_path, "--record-groups", GOOD)
    assert read_proofs(tmp_path / FILE) == proofs | {SKIPPED: Proof("a" * 16, 7), GOOD: proofs[GOOD]._replace(cost=3)}

    # A failure ends the proof at once, and a whole run forgets modules that have gone or that lost their marks.
    (tmp_path / SKIPPED).unlink()
    (tmp_path / GOOD).write_text("def test_plain(): assert False")
    _run(tmp_path, "--record-groups", GOOD)
    assert read_proofs(tmp_path / FILE) == {FAILING: proofs[FAILING], GOOD: Proof("-", 3)}
    _run(tmp_path, "--record-groups")
    assert [*read_proofs(tmp_path / FILE)] == [FAILING]


def test_interrupted_run_keeps_what_it_has_proved(tmp_path: Path) -> None:
    killing = """
        import os, signal, pytest
        @pytest.mark.exhaustive
        def test_killed(): os.kill(os.getpid(), signal.SIGKILL)
    """
    write_files(tmp_path, {"tests/test_a.py": _GOOD, "tests/test_b.py": killing, "tests/test_c.py": _GOOD})
    assert _run(tmp_path, "--record-groups").returncode < 0
    assert [*read_proofs(tmp_path / FILE)] == ["tests/test_a.py"]


def test_build_runs_changed_and_new_groups_and_a_share_and_says_why(tmp_path: Path) -> None:
    modules = {f"tests/test_{n}.py": _GOOD.replace("0.8", "0") for n in range(8)}
    write_files(tmp_path, modules | {"tests/conftest.py": _FILES["tests/conftest.py"]})
    _run(tmp_path, "--record-groups")
    proofs = read_proofs(tmp_path / FILE)
    assert [*proofs] == [*modules]
    costs = {group: Proof(proof.inputs, 10) for group, proof in proofs.items()}
    write_proofs(tmp_path / FILE, costs | {"tests/test_1.py": Proof("-", 900), "tests/test_gone.py": Proof("-", 1)})
    write_files(tmp_path, {"tests/test_0.py": modules["tests/test_0.py"] + "    # changed", "tests/test_new.py": _GOOD})

    done = _run(tmp_path, "-n", "2", "--groups-budget", "100")
    # Each of nine modules runs two tests; the changed one, the new one and two of six run the other six, too.
    assert (done.returncode, closing_line(done)) == (0, "38 passed, 4 xfailed"), done.stdout + done.stderr
    _, at_begin, at_end = re.split("-+ groups of exhaustive and outage tests -+", done.stdout)
    for text in (at_begin, at_end):
        assert "for 30 CPU seconds of a budget of 100" in text
        assert "changed inputs, or not proved: 1: test_0\n" in text
        assert re.search(r"share of commit .*: 2: test_\d, test_\d\n", text)
        assert "LEFT OUT BY THE BUDGET though inputs changed: 1: test_1\n" in text
        assert "proved with the same inputs: 4\n" in text
    assert f"not in {FILE.rpartition('/')[2]}: 1: test_new\n" in at_end
    assert read_proofs(tmp_path / FILE)["tests/test_1.py"] == Proof("-", 900)  # a build writes nothing
