"""Run chapters through ``nbclient``: one kernel each, several at once, timed and weighed.

    md --jupytext--> notebook (in memory) --nbclient--> executed notebook + figures

Seconds are wall-clock seconds from starting the kernel to its last cell.  Peak memory is the
largest sum over the kernel and its children of their proportional set size, polled and looked at
after the last cell: a page that several processes share counts once, divided between them.  Where
the system does not tell it, resident memory stands in, which counts the pages of forked workers
again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kledit_lite
from kledit_lite.book import sources
from kledit_lite.book.discover import Chapter
from kledit_lite.book.record import read_figures
from kledit_lite.book.sync import read_source
from kledit_lite.core import uses
from kledit_lite.core.machine import cpus, python_path, versions

#: Proportional set sizes cost a walk over every page; five samples per second took a sixth of a
#: core.
POLL_SECONDS = 1.0
TRACEBACK_LINES = 12
#: A cell that runs longer than this in profile lite is taken to hang.
LITE_CELL_SECONDS = 900

Say = Callable[[str], None]
#: Is told that a chapter starts, and then its run.
Watch = Callable[[Chapter, "Run | None"], None]


@dataclass(frozen=True)
class Failure:
    """The cell that stopped a chapter.

    Attributes:
        cell: its number among all cells, from 1; 0 when the chapter failed before its first cell.
        source: what the cell says.
        traceback: the last lines of the traceback, or a sentence.
    """

    cell: int
    source: str
    traceback: str

    def describe(self, chapter: Chapter) -> str:
        """Notebook, cell number, first line of the cell, last traceback lines."""
        head = self.source.strip().splitlines()[0] if self.source.strip() else ""
        where = f"{chapter.source.name}, cell {self.cell}" if self.cell else chapter.source.name
        return f"{where} failed: {head}\n{self.traceback}"


@dataclass(frozen=True)
class Run:
    """What one execution of one chapter gave.

    Attributes:
        chapter: slug of the chapter.
        profile: name of the profile that it ran in.
        seconds: wall-clock time.
        peak_mb: MiB of memory of the kernel and its children; shared pages count once.
        figures: what the chapter recorded.
        versions: of Python and the libraries that it ran on.
        failure: None when every cell ran.
        notebook: the executed notebook as JSON text, with outputs up to a failure.
        used: the files of the library, recorded runs and contracts that it opened.
        spent: what it put through models, such as ``unet_rows``.
    """

    chapter: str
    profile: str
    seconds: float
    peak_mb: float
    figures: Mapping[str, float]
    versions: Mapping[str, str]
    failure: Failure | None = None
    notebook: str = field(default="", repr=False)
    used: tuple[str, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every cell ran (whatever the contract says)."""
        return self.failure is None


def to_stderr(message: str) -> None:
    """The default way to report progress."""
    print(message, file=sys.stderr, flush=True)


def execute(
    chapters: Sequence[Chapter],
    profile: str,
    jobs: int | None = None,
    say: Say = to_stderr,
    watch: Watch = lambda chapter, run: None,
    library: Path | None = None,
) -> list[Run]:
    """Execute chapters, ``jobs`` at a time; a failing one does not stop the others.

    Every kernel is started with this interpreter, in the folder of the chapters, with
    ``KLEDIT_PROFILE`` and ``KLEDIT_RESULTS_DIR`` set and ``OMP_NUM_THREADS`` at cores / jobs
    unless it is set already.

    Args:
        chapters: the chapters to run.
        profile: name of the profile.
        jobs: how many to run at once; default: one per core.
        say: receives progress, one line at a time.
        watch: called with each chapter and None as it starts, and with its run as it ends.
        library: folder that the kernels import and whose files are noted; default: the imported
            package.

    Returns:
        One `Run` per chapter, in the order of ``chapters``.
    """
    if not chapters:
        return []
    jobs = jobs or min(cpus(), len(chapters))
    library = (library or Path(kledit_lite.__file__).parent).resolve()
    threads = max(1, cpus() // min(jobs, len(chapters)))

    async def all_of_them() -> list[Run]:
        free = asyncio.Semaphore(jobs)

        async def one(chapter: Chapter) -> Run:
            async with free:
                watch(chapter, None)
                run = await _execute_one(chapter, profile, threads, say, library)
            watch(chapter, run)
            return run

        return list(await asyncio.gather(*map(one, chapters)))

    return _in_thread(all_of_them)


def _in_thread(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in a loop of its own, also from inside a running one (a notebook).

    Away from the main thread nbclient leaves the signal handlers alone, so an interrupt arrives
    here: it cancels the work, which shuts every kernel down, and is raised again.
    """
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> Any:
        task = asyncio.current_task()
        assert task is not None  # inside a coroutine that asyncio.run drives there always is one
        started.append((asyncio.get_running_loop(), task))
        return await work()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(asyncio.run, main())
        try:
            return future.result()
        except KeyboardInterrupt:
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise


async def _execute_one(
    chapter: Chapter, profile: str, threads: int, say: Say, library: Path
) -> Run:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = read_source(chapter)
    specs = KernelSpecManager()
    specs.kernel_dirs = []  # no installed kernel may stand in for this interpreter's own
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    manager.shutdown_wait_time = 2.0
    current, memory = _Progress(chapter, len(notebook.cells), say), PeakMemory()
    codes = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()]

    def weigh(cell: Any, cell_index: int, execute_reply: Any) -> None:
        """Look at the kernel before it ends, as no poll may have done in a quick run."""
        if cell_index == codes[-1] or execute_reply["content"]["status"] == "error":
            memory.sample(_pid(manager))

    client = NotebookClient(
        notebook,
        km=manager,
        timeout=LITE_CELL_SECONDS if profile == "lite" else None,
        on_cell_start=current.start,
        on_cell_executed=weigh,
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    client.owns_km = True  # so that it shuts the kernel down and closes its sockets, come what may
    failure = None
    with tempfile.TemporaryDirectory() as results, tempfile.TemporaryDirectory() as notes:
        environment = _environment(chapter.root, library, profile, threads, results, notes)
        start = time.perf_counter()
        say(f"{chapter.stem}: starts, profile {profile}")
        watcher = asyncio.ensure_future(memory.watch(lambda: _pid(manager)))
        try:
            await client.async_execute(cwd=str(chapter.source.parent), env=environment)
        except CellExecutionError as error:
            failure = current.failed(_last_lines(error))
        except CellTimeoutError:
            failure = current.failed(f"ran for more than {LITE_CELL_SECONDS} seconds")
        except DeadKernelError:
            failure = current.failed("the kernel died (often: out of memory)")
        except Exception as error:  # a kernel that never starts, say: report it, run the others
            failure = current.failed(f"{type(error).__name__}: {error}")
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        seconds = time.perf_counter() - start
        figures = read_figures(Path(results), chapter.slug)
        spent = read_figures(Path(results), f"{chapter.slug}.spent")
        opened = sources.names(uses.noted(Path(notes)), chapter.root, library)
        used = tuple(sorted(opened.values()))
    say(f"{chapter.stem}: {'failed' if failure else 'done'}, {seconds:.1f} s, {memory.mb:.0f} MB")
    took, peak, text = round(seconds, 2), round(memory.mb, 1), _as_text(notebook)
    return Run(chapter.slug, profile, took, peak, figures, versions(), failure, text, used, spent)


class PeakMemory:
    """The largest memory seen of a process and its children, in MiB (``mb``)."""

    def __init__(self) -> None:
        self.mb = 0.0

    def sample(self, pid: int | None) -> None:
        """Look once; O(number of children). A process that is not there counts as nothing."""
        import psutil

        if pid is None:
            return
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += _footprint(each)
        self.mb = max(self.mb, total / 2**20)

    async def watch(self, pid: Callable[[], int | None]) -> None:
        """Sample every `POLL_SECONDS` until cancelled."""
        while True:
            self.sample(pid())
            await asyncio.sleep(POLL_SECONDS)


class _Progress:
    """Says which cell runs, and remembers it for the error message."""

    def __init__(self, chapter: Chapter, cells: int, say: Say) -> None:
        self.chapter, self.cells, self.say = chapter, cells, say
        self.index, self.source = -1, ""

    def start(self, cell: Any, cell_index: int) -> None:
        self.index, self.source = cell_index, cell.source
        if cell.cell_type == "code":
            self.say(f"{self.chapter.stem}: cell {cell_index + 1} of {self.cells}")

    def failed(self, traceback: str) -> Failure:
        return Failure(self.index + 1, self.source, traceback)


def _environment(
    root: Path, library: Path, profile: str, threads: int, results: str, notes: str
) -> dict[str, str]:
    """That of a kernel, which imports ``library`` and notes what it opens."""
    imported = Path(kledit_lite.__file__).resolve().parent
    count = os.environ.get("OMP_NUM_THREADS") or str(threads)
    return {
        **os.environ,
        "PYTHONPATH": python_path(library.parent, imported.parent),
        uses.NOTES: notes,
        uses.ROOTS: os.pathsep.join(map(str, sources.folders(root, library))),
        "KLEDIT_PROFILE": profile,
        "KLEDIT_RESULTS_DIR": results,
        "KLEDIT_STATIC": "1",
        "OMP_NUM_THREADS": count,
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _pid(manager: Any) -> int | None:
    return getattr(manager.provisioner, "pid", None) if manager.has_kernel else None


def _footprint(process: Any) -> int:
    """Bytes of a process: proportional set size where Linux tells it, else resident memory."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        if found := re.search(r"^Pss:\s*(\d+) kB", text, re.M):
            return int(found[1]) * 1024
    return int(process.memory_info().rss)


def _last_lines(error: Any) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback or "")
    lines = [line for line in plain.strip().splitlines() if line.strip()]
    return "\n".join(lines[-TRACEBACK_LINES:])


def _as_text(notebook: Any) -> str:
    """Drop what differs from run to run without meaning, and serialise."""
    import nbformat

    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # start and end times
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT, indent=1)
