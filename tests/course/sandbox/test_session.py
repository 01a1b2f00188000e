"""What a student's process can and cannot do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kledit_lite
from kledit_lite.course.checks import Wrong
from kledit_lite.course.sandbox.session import Limits, Session
from kledit_lite.course.sandbox.values import pack, unpack

LIBRARY = Path(kledit_lite.__file__).resolve().parent
TRY = """
def attempt(source):
    try:
        exec(source, globals())
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "done"
"""
CONNECT = """
import os, socket, sys
sys.path.insert(0, {root!r})
from kledit_lite.course.sandbox import fence
assert fence.isolate([{hidden!r}])
assert os.listdir({hidden!r}) == []
try:
    socket.create_connection(("127.0.0.1", {port}), 2)
except OSError:
    sys.exit(7)
"""


@pytest.fixture(scope="module")
def honest():
    with Session([TRY], limits=Limits(10, 1500)) as session:
        yield session


@pytest.fixture(scope="module")
def session():
    with Session([TRY], limits=Limits(10, 1500)) as session:
        yield session


@pytest.mark.parametrize(
    "source",
    [
        f"open({str(LIBRARY / 'course' / 'oracle.py')!r}).read()",
        f"open({str(LIBRARY / 'course' / 'oracle.py')!r}, 'rb').read()",
        f"import os; os.open({str(LIBRARY / '__init__.py')!r}, os.O_RDONLY)",
        f"open({str(LIBRARY.parent / 'README.md')!r})",
        f"open({str(LIBRARY.parent / 'tests' / 'answers.py')!r})",
        "open('/tmp/kledit-was-here', 'w')",
        "import os; os.remove('/etc/hostname')",
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9', timeout=1)",
        "import ctypes; ctypes.CDLL(None)",
        "import gc; gc.get_objects()",
        "from kledit_lite.align import r2; r2(1, 2)",
        "from kledit_lite.course.oracle import compare; compare()",
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if f.__class__.__name__ != "
        f"'_Finder']; sys.path.insert(0, {str(LIBRARY.parent)!r}); [sys.modules.pop(m) for m in "
        "list(sys.modules) if m.startswith('kledit')]; import kledit_lite.align",
        "bytearray(4 << 30)",
    ],
)
def test_it_may_not(session, source):
    assert session.find("attempt")(source) != "done"


@pytest.mark.parametrize(
    "source",
    [
        "open('mine', 'w').write('x'); assert open('mine').read() == 'x'",
        "import numpy as np; np.linalg.inv(np.eye(3))",
        "import scipy.stats, statistics, itertools, json, random",
        "from kledit_lite.course import check, hint; check('alignment-a', 1); hint('alignment-a')",
        "import matplotlib.pyplot as plt; plt.plot([1]); plt.savefig('x.png')",
        "get_ipython().run_line_magic('matplotlib', 'inline')",
    ],
)
def test_it_may(honest, source):
    assert honest.find("attempt")(source) == "done"


def test_no_network_even_past_the_hook(session):
    """Where the system has namespaces, this machine's own ports are out of reach."""
    if not session.isolated:
        pytest.skip("this system has no namespaces, so the audit hook is the only fence")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = CONNECT.format(root=str(LIBRARY.parent), hidden=str(LIBRARY / "zoo"), port=port)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env=env, check=False
        )
        assert done.returncode == 7, done.stderr


def test_the_library_where_it_may_be_used_but_not_its_checks():
    cells = [TRY, "from kledit_lite.components import scores"]
    with Session(cells, library=True, limits=Limits(60, 4000)) as session:
        parts = np.random.default_rng(0).normal(size=(1, 9, 3))
        assert np.allclose(session.find("scores")(parts, np.eye(3)), 1)
        attempt = session.find("attempt")
        assert attempt("from kledit_lite.align import r2") == "done"
        assert "ImportError" in attempt("from kledit_lite.course.oracle import compare; compare()")
        assert "PermissionError" in attempt(f"open({str(LIBRARY / 'course' / 'checks.py')!r})")


def test_a_call_that_hangs_or_dies_costs_itself_alone():
    cells = [
        "def loop():\n    while True: pass",
        "def stop():\n    import os; os._exit(0)",
        "import os; os._exit(1)",
        "raise SystemExit",
        "def fine(x): return x + 1",
        "while True: pass",
        "def late(): return 2",
    ]
    with Session(cells, limits=Limits(1, 1000)) as session:
        assert session.find("fine")(1) == 2
        for name, words in (
            ("loop", "did not end within 1 seconds"),
            ("stop", "ended its process"),
        ):
            with pytest.raises(Wrong, match=words):
                session.find(name)()
        assert session.find("late")() == 2
        assert session.troubles[4] == "raised SystemExit: " and "did not end" in session.troubles[6]
        with pytest.raises(Wrong, match="there is no gone in the notebook; cell 3 ended"):
            session.find("gone")


def test_no_process_is_left(tmp_path):
    started = time.monotonic()
    with Session(["import time\ndef sleep(): time.sleep(100)"], limits=Limits(1)) as session:
        with pytest.raises(Wrong):
            session.find("sleep")()
        assert session._process is None
    assert time.monotonic() - started < 100


def test_forged_answers_are_plain_values():
    class Equal:
        def __eq__(self, other):
            return True

        __hash__ = None

    back = unpack(pack({"ok": Equal()}))["ok"]
    assert back != Equal and type(back).__name__ == "Equal"
    with pytest.raises(TypeError):
        np.asarray(back, dtype=float)


VALUES = [None, True, 3, 2.5, "x", [1, (2, 3)], {"a": {1, 2}}, 1 << 70]


@pytest.mark.parametrize("value", VALUES)
def test_plain_values_pass(value):
    back = unpack(pack(value))
    assert back == value and type(back) is type(value)


def test_arrays_iterators_and_strange_things():
    a = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert (unpack(pack(a)) == a).all() and unpack(pack(a)).dtype == np.uint8
    assert unpack(pack(np.float32(0.5))) == np.float32(0.5)
    assert np.isnan(unpack(pack(float("nan")))) and unpack(pack(...)) is ...
    assert unpack(pack(range(3))) == [0, 1, 2] and unpack(pack(x for x in "ab")) == ["a", "b"]
    loop = []
    loop.append(loop)
    assert type(unpack(pack(loop))).__name__ == "list" and unpack(pack(loop)) != []
    assert type(unpack(pack(object()))).__name__ == "object"
    assert unpack(pack(10**100)) == float("inf")
    for bad in (b"", b"[", b'["array", "O", [1], ""]', b'["what", 1]', b'["list"]'):
        with pytest.raises((ValueError, IndexError)):
            unpack(bad)
