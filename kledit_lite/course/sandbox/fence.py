"""What a student's process may not do, and how it is kept from it.

Two fences, one behind the other. Where the system has namespaces (Linux), the process gets its own
network, which is empty, its own processes, and empty folders in place of those to hide. And on
every system an audit hook, which no Python code can remove, refuses to open files outside a few
folders, to write outside the working folder, and to reach a network or another process.

They stop accidents and what a student tries. For code that attacks the interpreter itself, run
`kledit grade` in a container or a virtual machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.abc
import importlib.machinery
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
PRIVATE, DEATH_SIGNAL, NO_NEW_PRIVILEGES, CAPABILITIES_V3 = 0x44000, 1, 38, 0x20080522

NEVER = tuple("socket. subprocess. ctypes. os.exec os.posix_spawn os.spawn os.startfile".split())
NEVER_EXACTLY = {
    "os.fork", "os.forkpty", "os.system", "os.kill", "os.killpg", "pty.spawn", "gc.get_objects",
    "gc.get_referrers", "gc.get_referents", "signal.pthread_kill", "resource.setrlimit",
    "resource.prlimit", "code.__new__", "sys.remote_exec",
}  # fmt: skip
LIBRARIES_NEED = {"code.__new__", "gc.get_objects", "gc.get_referrers", "socket.gethostname"}
"""What torch and numba do when they are loaded: let be where the library may be used."""
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}
CHANGES |= {"os.truncate", "os.chmod", "os.chown", "os.utime"}
READABLE = ("/usr", "/lib", "/lib64", "/etc", "/dev", "/sys", "/System", "/Library")


def isolate(hidden: Sequence[str]) -> bool:
    """Put this process where there is no network, no other process and no hidden folder.

    Forks: the child goes on, the parent waits for it and ends as it ends.

    Args:
        hidden: folders that become empty.

    Returns:
        Whether the system allowed all of it; some allow a part, others nothing.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(NEWUSER | NEWNS | NEWNET | NEWPID | NEWIPC):
        return False
    maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
    for name, text in maps.items():
        with contextlib.suppress(OSError):  # a system without setgroups needs none
            Path(f"/proc/self/{name}").write_text(text)
    child = os.fork()
    if child:
        os._exit(min(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255, 255))
    libc.prctl(DEATH_SIGNAL, 9, 0, 0, 0)
    libc.mount(b"none", b"/", None, PRIVATE, None)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)  # a container may refuse: the hook is there
    places = [os.fsencode(folder) for folder in hidden if Path(folder).is_dir()]
    emptied = [libc.mount(b"none", place, b"tmpfs", 0, b"size=4k") == 0 for place in places]
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return all(emptied)


def limit(memory_mb: int, library: bool) -> None:
    """Bound the memory and the files of this process.

    Args:
        memory_mb: of data; with a library loaded, its code and files do not count.
        library: whether large libraries will be loaded.
    """
    import resource

    size = memory_mb << 20
    kinds = {resource.RLIMIT_DATA: size, resource.RLIMIT_FSIZE: 64 << 20, resource.RLIMIT_CORE: 0}
    if not library:  # torch alone maps several times what it uses
        kinds[resource.RLIMIT_AS] = size
    for kind, most in kinds.items():
        with contextlib.suppress(ValueError, OSError):  # a system that does not know this limit
            resource.setrlimit(kind, (most, most))


class StandIn(types.ModuleType):
    """Takes the place of a module: its checks say nothing, and its functions do not work."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in {"check", "hint", "progress"}:
            return lambda *args, **options: None
        return Missing(f"{self.__name__}.{name}")


class Missing:
    """A name of a module that a student's process does not have."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Refuse."""
        raise ImportError(f"{self.name} is not there when this exercise is marked: write it")

    def __getattr__(self, name: str) -> Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return Missing(f"{self.name}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a `StandIn` for a package and for everything below it."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if f"{name}.".startswith(f"{self.package}."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """A stand-in has nothing to run."""


def stand_in(package: str) -> None:
    """Replace a package, loaded or not, by stand-ins."""
    for name in [n for n in sys.modules if f"{n}.".startswith(f"{package}.")]:
        del sys.modules[name]
    above, _, last = package.rpartition(".")
    if above in sys.modules:
        vars(sys.modules[above]).pop(last, None)
    sys.meta_path.insert(0, _Finder(package))


def guard(home: str, hidden: Sequence[str], library: str | None) -> None:
    """Refuse files, networks and processes for as long as this process lives.

    Args:
        home: the only folder in which it may write.
        hidden: folders that it may not read, even inside those that it may.
        library: the library's folder if it may be used.
    """
    real = os.path.realpath
    home = real(home)
    own = f"/proc/{os.getpid()}"
    places = (*READABLE, sys.prefix, sys.base_prefix, home, *([library] if library else ()))
    readable = (*(f"{real(place)}/" for place in places), "/proc/")
    unreadable = tuple(f"{real(place)}/" for place in hidden)
    let_be = LIBRARIES_NEED if library else set()
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def place(path: Any) -> str:
        return f"{real(os.fsdecode(path))}/"

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            if not isinstance(path, str | bytes | os.PathLike):
                return
            where = place(path)
            writes = isinstance(mode, str) and set(mode) & set("wax+")
            if writes or (isinstance(flags, int) and flags & writing):
                if not where.startswith((f"{home}/", "/dev/null/")):
                    raise PermissionError(f"writing {where[:-1]} is not allowed")
                return
            process = where.startswith("/proc/") and where[6:7].isdigit()
            other = process and not where.startswith(f"{own}/")
            if other or where.startswith(unreadable) or not where.startswith(readable):
                raise PermissionError(f"reading {where[:-1]} is not allowed")
        elif event in CHANGES:
            for path in args[: 2 if event in {"os.rename", "os.link", "os.symlink"} else 1]:
                if isinstance(path, int) or not place(path).startswith(f"{home}/"):
                    raise PermissionError(f"{event} is not allowed here")
        elif event in NEVER_EXACTLY or event.startswith(NEVER):
            if event in let_be or (library and event.startswith("ctypes.")):
                return
            raise PermissionError(f"{event} is not allowed")

    sys.addaudithook(hook)
