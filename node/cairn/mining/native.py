"""The native kernel: compiled when first wanted, by the system's C compiler, and checked.

It is optional. Where there is no compiler, no private directory to keep the library in, or a
wrong result, the reason is told and the pure kernel does the work.

`python -m cairn.mining.native` builds it ahead of time and says what is in use; with `--ship`
it goes into the virtual environment, for users who may not compile.
"""

import ctypes
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from cairn.mining.kernel import NONCES, check_arguments
from cairn.mining.kernel import search as pure_search

SWITCH = "CAIRN_NATIVE_KERNEL"
"""Set to 0, this variable keeps the native kernel off."""
_SOURCE = Path(__file__).with_name("kernel.c")
_FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-strict-aliasing")
_COMPILE_SECONDS = 60
_CHECKED_NONCES = 64
_SHIPPED = Path(sys.prefix) / "lib" / "cairn"


class KernelUnavailable(Exception):
    """There is no native kernel here; the message says why."""


class NativeKernel:
    """`search` as in `cairn.mining.kernel`, in C. The interpreter lock is free meanwhile."""

    def __init__(self, library_file: Path, *, portable: bool = False) -> None:
        """Loads the library. Raises KernelUnavailable when it cannot be loaded."""
        try:
            library = ctypes.CDLL(str(library_file))
            self._search = library.cairn_search
            extensions = library.cairn_has_extensions()
        except (OSError, AttributeError) as error:
            raise KernelUnavailable(f"{library_file} cannot be loaded: {error}") from None
        self._search.argtypes = [
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_uint64,
            ctypes.c_uint64,
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_uint64),
        ]
        self._portable = portable
        self.name = "native with SHA extensions" if extensions and not portable else "native"

    def search(self, header: bytes, target: int, first_nonce: int, count: int) -> int | None:
        """See `cairn.mining.kernel.search`."""
        check_arguments(header, target, first_nonce, count)
        if count == 0:
            return None
        found = ctypes.c_uint64()
        last = min(first_nonce + count, NONCES) - 1
        limit = target.to_bytes(32, "big")
        hit = self._search(header, limit, first_nonce, last, self._portable, ctypes.byref(found))
        return found.value if hit else None


def load_native_kernel(environment: Mapping[str, str] = os.environ) -> NativeKernel:
    """The native kernel, compiled now if it is not yet, and compared with the pure one.

    Raises KernelUnavailable.
    """
    if environment.get(SWITCH) == "0":
        raise KernelUnavailable(f"switched off by {SWITCH}=0")
    kernel = NativeKernel(build_library(environment))
    check_kernel(kernel)
    return kernel


def build_library(environment: Mapping[str, str] = os.environ) -> Path:
    """The compiled library: the one shipped beside the interpreter's own libraries, or the one
    in the user's cache directory, which is compiled where it is missing."""
    name = _library_name()
    if (shipped := _SHIPPED / name).is_file():
        return shipped
    library = _private_directory(environment) / name
    if not library.is_file():
        _compile(library)
    return library


def ship_library() -> Path:
    """Compiles the library into the virtual environment. Whoever can write there could change
    the interpreter's modules as well, so it needs no directory of its own user."""
    library = _SHIPPED / _library_name()
    try:
        _SHIPPED.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KernelUnavailable(f"{_SHIPPED}: {error}") from None
    _compile(library)
    return library


def _library_name() -> str:
    """Names what it is made of, so that another source or system never finds the wrong one."""
    try:
        source = _SOURCE.read_bytes()
    except OSError as error:
        raise KernelUnavailable(f"its source is missing: {error}") from None
    key = sha256(repr((source, _FLAGS, platform.machine(), platform.libc_ver())).encode())
    return f"kernel-{key.hexdigest()[:32]}.so"


def check_kernel(kernel: NativeKernel) -> None:
    """Raises KernelUnavailable unless the kernel finds what the pure one finds."""
    header = bytes(range(96))
    for first_nonce in (0, 2**32 - 8, NONCES - 16):
        for target in (2**253, 2**250, 1):
            wanted = pure_search(header, target, first_nonce, _CHECKED_NONCES)
            if kernel.search(header, target, first_nonce, _CHECKED_NONCES) != wanted:
                raise KernelUnavailable("it computes wrong hashes on this machine")


def _private_directory(environment: Mapping[str, str]) -> Path:
    """A directory nobody else can write to: code will be loaded from it."""
    if named := environment.get("CACHE_DIRECTORY"):  # systemd's CacheDirectory=
        base = Path(named.split(":")[0])
    elif named := environment.get("XDG_CACHE_HOME"):
        base = Path(named) / "cairn"
    elif named := environment.get("HOME"):
        base = Path(named) / ".cache" / "cairn"
    else:
        raise KernelUnavailable("there is no cache directory (set CACHE_DIRECTORY)")
    directory = base / "mining"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        raise KernelUnavailable(f"cache directory {directory}: {error}") from None
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KernelUnavailable(f"others can write to {directory}: chown it, chmod 700")
    return directory


def _compile(library: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise KernelUnavailable("there is no C compiler (cc); Debian: apt install gcc libc6-dev")
    try:
        with tempfile.TemporaryDirectory(dir=library.parent) as directory:
            made = Path(directory) / "kernel.so"
            command = [compiler, *_FLAGS, "-o", str(made), str(_SOURCE)]
            done = subprocess.run(
                command, capture_output=True, timeout=_COMPILE_SECONDS, check=False, text=True
            )
            if done.returncode != 0:
                raise KernelUnavailable(f"{compiler} failed: {done.stderr.strip()[-500:]}")
            made.replace(library)  # at once, whoever else builds it
    except (OSError, subprocess.SubprocessError) as error:
        raise KernelUnavailable(f"{compiler}: {error}") from None


def main() -> int:
    """Builds the kernel and says so; 1 when there is none."""
    try:
        if sys.argv[1:] == ["--ship"]:
            ship_library()
        kernel = load_native_kernel()
    except KernelUnavailable as error:
        sys.stderr.write(f"no native kernel: {error}\n")
        return 1
    sys.stdout.write(f"{kernel.name}: {build_library()}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
