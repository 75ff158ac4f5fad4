"""A failed test is run once more, alone: a race is listed, a defect fails the run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.failed_once import read_list
from tests.support.pytest_runs import closing_line, run_pytest, write_files

_RACE = """
    import os
    from pathlib import Path
    import pytest

    def fail_once(name):
        print("the log of", name)
        marker = Path(os.environ["FOLDER"], name)
        if not marker.exists():
            marker.touch()
            raise AssertionError(f"{name} came too late")
"""


def _run(
    folder: Path, tests: str, *arguments: str, tracked: str = "", files: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    listed = {"tests/proof/failed_once.txt": tracked} if tracked else {}
    write_files(folder, {"tests/test_sample.py": _RACE + tests, **listed, **(files or {})})
    return run_pytest(folder, *arguments, plugin="failed_once")


def test_race_is_listed_with_message_and_log(tmp_path: Path) -> None:
    tests = """
    @pytest.mark.parametrize("name", ["a b [1]"])
    def test_race(name): fail_once(name)
    def test_other(): pass
    """
    done = _run(tmp_path, tests, "-n", "2", "--failed-once", "tests/proof/failed_once.txt")
    assert (done.returncode, closing_line(done)) == (0, "2 passed, 1 rerun"), done.stdout
    listed = tmp_path / "tests" / "proof" / "failed_once.txt"
    assert read_list(listed) == ["tests/test_sample.py::test_race[a b [1]]"]
    for text in (listed.read_text(), done.stdout.partition("failed once")[2]):
        assert "a b [1] came too late" in text
        assert "the log of a b [1]" in text
        assert str(tmp_path) not in text
    again = run_pytest(tmp_path, "--failed-once", "tests/proof/failed_once.txt", plugin="failed_once")
    assert (again.returncode, closing_line(again)) == (0, "2 passed")
    assert "test_race[a b [1]]" in again.stdout  # a run of the developer prints the list


@pytest.mark.exhaustive
def test_error_of_a_fixture_and_killed_worker_are_run_again(tmp_path: Path) -> None:
    tests = """
    import signal
    @pytest.fixture
    def server():
        yield
        fail_once("server")
    def test_of_server(server): pass

    def test_that_kills_its_worker():
        if not (marker := Path(os.environ["FOLDER"], "killed")).exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = _run(tmp_path, tests, "-n", "1")
    assert (done.returncode, closing_line(done)) == (0, "2 passed, 2 rerun"), done.stdout


def test_defect_and_proof_are_not_forgiven_beside_a_race(tmp_path: Path) -> None:
    tests = """
    def test_race(): fail_once("race")
    def test_defect(): assert 1 == 2
    @pytest.mark.proof
    def test_proof(): fail_once("proof")
    """
    done = _run(tmp_path, tests)
    assert (done.returncode, closing_line(done)) == (1, "2 failed, 1 passed, 1 rerun"), done.stdout
    assert "tests/test_sample.py::test_proof is not run again: it is marked `proof`" in done.stdout
    assert "tests/test_sample.py::test_defect failed again" in done.stdout
    assert "FAILED tests/test_sample.py::test_proof" in done.stdout
    assert "FAILED tests/test_sample.py::test_race" not in done.stdout


@pytest.mark.exhaustive
def test_test_that_is_skipped_when_it_runs_again_is_not_forgiven(tmp_path: Path) -> None:
    tests = """
    def test_race():
        if Path(os.environ["FOLDER"], "race").exists():
            pytest.skip("the machine lacks it now")
        fail_once("race")
    """
    done = _run(tmp_path, tests)
    assert (done.returncode, closing_line(done)) == (1, "1 failed"), done.stdout


def test_listed_test_is_not_forgiven_again(tmp_path: Path) -> None:
    tracked = "tests/test_sample.py::test_race\n    2026-12-03, Python 3.11.7, call\n"
    done = _run(tmp_path, "    def test_race(): fail_once('race')", tracked=tracked)
    assert (done.returncode, closing_line(done)) == (1, "1 failed"), done.stdout
    assert "test_race is not run again: it has failed once before" in done.stdout


@pytest.mark.parametrize(("earlier", "failing"), [(0, 4), (2, 2)])
def test_more_than_three_failures_of_a_build_are_not_forgiven(tmp_path: Path, earlier: int, failing: int) -> None:
    tests = f"    @pytest.mark.parametrize('n', range({failing}))\n    def test_race(n): fail_once(f'race {{n}}')\n"
    entries = "".join(f"tests/test_earlier.py::test_{n}\n    the log of {n}\n" for n in range(earlier))
    done = _run(tmp_path, tests, "--failed-once", "build.txt", files={"build.txt": entries})
    assert (done.returncode, closing_line(done)) == (1, f"{failing} failed"), done.stdout
    assert f"failed: {failing}, earlier in this build: {earlier}; more than 3 are not run again" in done.stdout
    assert (tmp_path / "build.txt").read_text() == entries


@pytest.mark.exhaustive
def test_module_that_cannot_be_collected_fails_the_run(tmp_path: Path) -> None:
    done = _run(tmp_path, "    def test_race(): fail_once('race')", files={"tests/test_bad.py": "import nothing_such"})
    assert done.returncode != 0
    assert closing_line(done) == "1 error"
