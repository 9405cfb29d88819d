"""The pytest plugin of cnnexplain.testing: whatever a student's file does, the run ends with a grade."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import cnnexplain

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or "asan" in os.environ.get("LD_PRELOAD", ""), reason="needs processes of its own"
)
SLEEP = f"77.{os.getpid():07}"  # seconds that no other process sleeps
HOME = Path(cnnexplain.__file__).parents[1]


class Run:
    """pytest in a folder of its own, with files given as keywords."""

    def __init__(self, folder: Path, *options: str, load: bool = True, **files: str):
        for name, text in files.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        plugin = ["-p", "cnnexplain.testing.plugin"] if load else []
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, *options]
        self.folder = folder
        done = subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(HOME), *os.environ.get("MORE", "").split()]),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.code, self.output, self.error = done.returncode, done.stdout, done.stderr

    def grades(self) -> dict:
        """The JSON file, by the names of the tests."""
        told = json.loads((self.folder / "grades.json").read_text())
        told["tests"] = {test["test"].split("::")[-1]: test for test in told["tests"]}
        return told


GRADER = """
    import pytest

    def points(n, **limits):
        return lambda f: pytest.mark.points(n)(pytest.mark.limits(**limits)(f))

    @points(2)
    def test_right(submission):
        assert submission.one() == 1

    @points(3, seconds=0.4)
    def test_endless(submission):
        submission.endless()

    @points(3, seconds=0.4)
    def test_stubborn(submission):
        submission.stubborn()

    @points(3, seconds=0.4)
    def test_compiled(submission):
        submission.compiled()

    @points(1, megabytes=200)
    def test_memory(submission):
        submission.memory()

    @points(1)
    def test_crash(submission):
        submission.crash()

    @points(1)
    def test_leave(submission):
        submission.leave()

    @points(1)
    def test_exit(submission):
        submission.quit_()

    @points(1)
    def test_interrupt(submission):
        submission.interrupt()

    @points(1)
    def test_prints(submission):
        submission.prints()

    @points(1)
    def test_misspelled(submission):
        submission.enldess()

    @points(1)
    def test_unwritten(submission):
        submission.unwritten()

    @points(1)
    def test_index(submission):
        submission.index()

    @points(6)
    def test_parts(submission, credit):
        with credit(1, "one"):
            assert submission.one() == 1
        with credit(2, "two"):
            assert submission.one() == 2, "one is not two"
        with credit(2, "three"):
            submission.index()

    @points(6, seconds=0.4)
    def test_parts_and_time(submission, credit):
        with credit(1, "one"):
            assert submission.one() == 1
        with credit(2, "two"):
            submission.endless()

    @points(4)
    def test_partly(credit):
        from cnnexplain.testing import assert_same_map

        with credit(3, "map", partly={"relu-applied": 2}):
            assert_same_map([0.0, 2.0, 3.0], [-1.0, 2.0, 3.0])

    @pytest.mark.points(1)
    @pytest.mark.skip
    def test_skipped():
        pass

    def test_plain_one():
        print("not graded")
"""
STUDENT = """
    import os, signal, subprocess, time

    def one():
        return 1

    def endless():
        while True:
            pass

    def stubborn():
        while True:
            try:
                endless()
            except BaseException:
                pass

    def compiled():
        subprocess.Popen(["sleep", "77.25"])
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as in a call that does not come back
        time.sleep(60)

    def memory():
        import numpy as np
        return np.ones(10**9)

    def crash():
        import ctypes
        ctypes.string_at(0)

    def leave():
        os._exit(0)

    def quit_():
        exit()

    def interrupt():
        raise KeyboardInterrupt

    def prints():
        while True:
            print(99999 * "x")

    def unwritten():
        raise NotImplementedError

    def index():
        x = []
        return x[3]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grading")
    options = ["grade.py", "--grades", "grades.json", "--grades-submission", "student.py"]
    begin = time.monotonic()
    done = Run(folder, *options, grade=GRADER, student=STUDENT.replace("77.25", SLEEP))
    done.seconds = time.monotonic() - begin
    return done


@pytest.mark.parametrize(
    ("test", "earned", "hint"),
    [
        ("right", 2, ""),
        ("endless", 0, "The test took longer than 0.4 s. It was at student.py, line 9: `pass`"),
        ("stubborn", 0, "The test took longer than 0.4 s"),
        ("compiled", 0, "The test took longer than 0.4 s and did not react: a loop that catches every"),
        ("memory", 0, "The test asked for more than 200 MB. It was at student.py, line 25: `return np.ones("),
        (
            "crash",
            0,
            "The program ended with the signal SIGSEGV, a crash. It was at student.py, line 29: `ct",
        ),
        ("leave", 0, "The program ended Python itself, with exit code 0: by `os._exit`, or in a library"),
        ("exit", 0, "`quit_` ends the program (`exit()`, `quit()`): return a value instead"),
        ("interrupt", 0, "The test was ended by KeyboardInterrupt."),
        ("prints", 0, "The test printed or wrote more than 50 MB"),
        ("misspelled", 0, "student.py has no `enldess`; is it `endless`?"),
        ("unwritten", 0, "`unwritten` is not written yet"),
        ("index", 0, "line 49, `return x[3]`: IndexError: list index out of range"),
        ("parts", 2, "two: 0 of 2 points\none is not two"),
        ("parts_and_time", 1, "The test took longer than 0.4 s"),
        ("partly", 3, "map: 2 of 3 points\nThe map differs at 1 of 3 places"),
        ("skipped", 0, ""),
    ],
)
def test_every_end_is_a_grade(run, test, earned, hint):
    grade = run.grades()["tests"][f"test_{test}"]
    assert grade["earned"] == earned, grade
    line = grade["hint"].replace("line 10: `while True:`", "line 9: `pass`")
    line = line.replace("line 8: `while True:`", "line 9: `pass`").replace(
        "line 10: `pass`", "line 9: `pass`"
    )
    assert hint in line, grade["hint"]


def test_the_run_itself_is_well(run):
    assert run.code == 1 and "INTERNALERROR" not in run.output + run.error
    assert "15 failed, 2 passed, 1 skipped" in run.output and run.seconds < 20
    assert len(run.output) < 50_000
    assert "========= grades of student.py ==========" in run.output
    assert "     8 / 37    in all" in run.output and "     2 / 6     test_parts\n" in run.output
    told = run.grades()
    assert (told["submission"], told["points"], told["earned"]) == ("student.py", 37, 8)
    assert "test_plain_one" not in told["tests"] and told["errors"] == []


def test_details_of_the_file(run):
    tests = run.grades()["tests"]
    assert tests["test_partly"]["mistakes"] == ["relu-applied"]
    names = [(part["name"], part["earned"]) for part in tests["test_parts"]["parts"]]
    assert names == [("one", 1), ("two", 0), ("three", 0)]
    assert tests["test_right"]["outcome"] == "passed" and tests["test_skipped"]["outcome"] == "skipped"
    assert 0.3 < tests["test_endless"]["seconds"] < 2 and tests["test_right"]["megabytes"] < 100


def test_what_a_test_has_started_ends_with_it(run):
    if shutil.which("ps") is None:
        pytest.skip("needs ps")
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert f"sleep {SLEEP}" not in listed


BROKEN = {
    "cannot be run: line 2, `import nowhere_at_all`: ModuleNotFoundError": "\nimport nowhere_at_all\n",
    "cannot be run: line 1: unmatched ')': def one) return 1": "def one) return 1\n",
    "ends the program when it is imported": "exit()\n",
    "took longer than 0.3 s. It was at broken.py, line 2: `pass`": "while True:\n    pass\n",
    "has no `one`; it has: two": "def two(): pass\n",
}


def test_files_that_cannot_be_run(tmp_path):
    """Each has the hint, and none takes down the run or the next file."""
    grader = """
        import pytest
        from pathlib import Path
        from cnnexplain.testing.submission import Submission

        @pytest.mark.parametrize("name", sorted(map(str, Path(".").glob("broken*.txt"))))
        @pytest.mark.points(1)
        @pytest.mark.limits(seconds=0.3)
        def test_one(name):
            Path("broken.py").write_bytes(Path(name).read_bytes())
            Submission(Path("broken.py").resolve()).one()
    """
    for i, text in enumerate(BROKEN.values()):
        (tmp_path / f"broken{i}.txt").write_text(text)
    (tmp_path / "broken9.txt").write_bytes(b"a = '\xff\xfe'\0")
    (tmp_path / "broken.py").touch()
    options = ["grade.py", "--grades", "grades.json", "--grades-submission", "broken.py"]
    run = Run(tmp_path, *options, grade=grader)
    told = run.grades()
    assert told["points"] == 6 and told["earned"] == 0 and "INTERNALERROR" not in run.output
    *hints, last = [test["hint"] for test in told["tests"].values()]
    for hint, part in zip(hints, BROKEN, strict=True):
        assert part in hint.replace("line 1: `while True:`", "line 2: `pass`"), hint
    assert "cannot be run: " in last


def test_tests_around_are_left_as_they_are(tmp_path):
    """Fixtures of wider scopes, other folders, markers of the same names that mean something else."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "conftest.py").write_text("")
    run = Run(
        tmp_path,
        "-W",
        "error",
        "-rA",
        conftest="""
            import os, pytest

            @pytest.fixture(scope="session")
            def folder(tmp_path_factory):
                path = tmp_path_factory.mktemp("kept")
                yield path
                (path / "gone").touch()
        """,
        test_1="def test_first(folder): assert folder.exists()",
        test_2="""
            import os, pytest

            BEFORE = os.getpid()

            @pytest.mark.points(1)
            def test_apart(folder, monkeypatch):
                assert os.getpid() != BEFORE
                monkeypatch.setenv("KIT", "1")

            @pytest.mark.points("x", "y")
            @pytest.mark.limits(3, unit="mm")
            def test_of_others():
                assert os.getpid() == BEFORE

            def test_after(folder):
                assert "KIT" not in os.environ and not (folder / "gone").exists()
        """,
        **{"a/test_3": "import pytest\ndef test_0(folder): pass\n@pytest.mark.points(1)\ndef test_3(): pass"},
        **{"b/test_4": "def test_4(folder): assert not (folder / 'gone').exists()"},
    )
    assert run.code == 0 and "7 passed" in run.output, run.output
    assert "     2 / 2     in all" in run.output and "grades of" not in run.output


def test_nothing_is_told_where_nothing_is_graded(tmp_path):
    run = Run(tmp_path, "-W", "error", "--strict-markers", test_1="def test_1(): pass")
    assert run.code == 0 and "grade" not in run.output and "in all" not in run.output


def test_the_entry_point_loads_nothing_heavy(tmp_path, monkeypatch):
    """As installed: metadata beside the package. pytest -p with the same name loads it once."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    entry = text.split("[project.entry-points.pytest11]\n")[1].split("\n")[0].split(" #")[0].replace('"', "")
    about = tmp_path / "site" / "kit-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kit\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[pytest11]\n{entry}\n")
    (about / "RECORD").write_text("cnnexplain/__init__.py,,\ncnnexplain/errors.py,,\n")
    monkeypatch.setenv("MORE", str(about.parent))
    test = """
        import sys

        def test_1(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("cnnexplain.testing.plugin")
            assert not {"numpy", "cnnexplain._core", "cnnexplain.testing.maps"} & set(sys.modules)

        def test_asserts_of_the_package_are_not_rewritten():
            import cnnexplain.errors
            assert "Rewriting" not in type(cnnexplain.errors.__loader__).__name__
    """
    for load in (False, True):
        run = Run(tmp_path, "-W", "error", load=load, test_1=test)
        assert run.code == 0 and "2 passed" in run.output, run.output + run.error


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        (["--grades-submission", "none.py"], "", "`--grades-submission` must be a file. Received: none.py"),
        (
            ["--grades", "g.json"],
            "@points('a')",
            "`points` must have one number that is not negative. Received: ",
        ),
        (["--grades", "g.json"], "@points(1)\n@limits(4)", "`limits` must have positive numbers `seconds=`"),
        (["--grades", "g.json"], "@limits(seconds=-1)", "Received: limits(seconds=-1)"),
        (["--grades", "no/g.json"], "@points(1)", "cannot write the grades: "),
        ([], "@limits()", "the fixture `credit` needs @pytest.mark.points(n)"),
        ([], "@points(2)", "the parts of this test are worth 3 points, the test 2"),
    ],
)
def test_a_grader_s_mistakes(tmp_path, options, text, message):
    grader = f"""import pytest
points, limits = pytest.mark.points, pytest.mark.limits
{text}
def test_1(credit):
    with credit(3 if {text == "@points(2)"} else 1, "all"):
        pass
"""
    run = Run(tmp_path, "grade.py", *options, grade=grader)
    assert run.code != 0 and message in run.output + run.error, run.output + run.error
    assert "Traceback" not in run.error


def test_a_grader_that_cannot_be_read(tmp_path):
    run = Run(tmp_path, "grade.py", "--grades", "grades.json", grade="import nowhere_at_all")
    told = run.grades()
    assert run.code == 2 and told["points"] == 0 and "nowhere_at_all" in told["errors"][0]
    assert "error: grade.py: " in run.output


def test_without_fork_time_is_looked_at_afterwards(tmp_path):
    grader = """
        import pytest, time

        @pytest.mark.points(2)
        @pytest.mark.limits(seconds=0.1)
        def test_slow():
            time.sleep(0.2)

        @pytest.mark.points(1)
        def test_quick(): pass
    """
    options = ["grade.py", "--grades", "grades.json"]
    run = Run(tmp_path, *options, grade=grader, conftest="import os\ndel os.fork")
    told = run.grades()
    assert told["earned"] == 1 and "longer than 0.1 s" in told["tests"]["test_slow"]["hint"]
