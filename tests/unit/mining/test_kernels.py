"""Both kernels against the definition of a block hash, and against each other."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.consensus.block import decode_header
from cairn.consensus.proof_of_work import check_proof_of_work
from cairn.mining import kernel, native
from cairn.mining.native import KernelUnavailable, NativeKernel, build_library, load_native_kernel
from tests.support.builders import ChainBuilder, header_bytes

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) here")

headers = st.binary(min_size=96, max_size=96)
nonces = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(2**64 - 300, 2**64 - 1), st.integers(2**32 - 300, 2**32)
)
targets = st.one_of(st.integers(1, 2**256 - 1), st.integers(240, 255).map(lambda bits: 2**bits))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> list[NativeKernel]:
    cache = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    library = build_library(cache)
    return [NativeKernel(library), NativeKernel(library, portable=True)]


def block_hash(header: bytes, nonce: int) -> int:
    whole = header[:88] + nonce.to_bytes(8, "big")
    return int.from_bytes(sha256(sha256(whole).digest()).digest(), "big")


@given(headers, targets, nonces, st.integers(0, 200))
def test_pure_kernel_finds_the_first_solving_nonce(
    header: bytes, target: int, first: int, count: int
) -> None:
    tried = range(first, min(first + count, 2**64))
    wanted = next((nonce for nonce in tried if block_hash(header, nonce) <= target), None)
    assert kernel.search(header, target, first, count) == wanted


@needs_compiler
@given(header=headers, target=targets, first=nonces, count=st.integers(0, 400))
def test_native_kernels_equal_the_pure_one(
    kernels: list[NativeKernel], header: bytes, target: int, first: int, count: int
) -> None:
    wanted = kernel.search(header, target, first, count)
    for native_kernel in kernels:
        assert native_kernel.search(header, target, first, count) == wanted


@needs_compiler
@given(header=headers, nonce=nonces)
def test_target_is_met_exactly_at_the_hash_and_not_one_below(
    kernels: list[NativeKernel], header: bytes, nonce: int
) -> None:
    value = block_hash(header, nonce)
    for search in (kernel.search, *(item.search for item in kernels)):
        assert search(header, value, nonce, 1) == nonce
        assert search(header, value - 1, nonce, 1) is None


def test_found_nonce_is_proof_of_work_by_the_consensus_rules() -> None:
    header = ChainBuilder().mine().header
    raw = header_bytes(header)
    nonce = kernel.search(raw, 2**240, 0, 2**32)
    assert nonce is not None
    solved = decode_header(raw[:88] + nonce.to_bytes(8, "big"))
    check_proof_of_work(solved.hash(), 0x1F00FFFF)


@pytest.mark.parametrize(
    ("header", "target", "first", "count"),
    [
        (bytes(95), 1, 0, 1),
        (bytes(97), 1, 0, 1),
        (bytes(96), 0, 0, 1),
        (bytes(96), 2**256, 0, 1),
        (bytes(96), 1, -1, 1),
        (bytes(96), 1, 2**64, 1),
        (bytes(96), 1, 0, -1),
        (bytes(96), 1, 0, 2**64 + 1),
    ],
)
def test_arguments_out_of_range_are_refused(
    header: bytes, target: int, first: int, count: int
) -> None:
    with pytest.raises(ValueError, match=r"between|bytes"):
        kernel.search(header, target, first, count)


@needs_compiler
def test_library_is_built_once_and_kept_private(tmp_path: Path) -> None:
    environment = {"CACHE_DIRECTORY": str(tmp_path)}
    library = build_library(environment)
    built_at = library.stat().st_mtime_ns
    assert library.parent.stat().st_mode & 0o077 == 0
    assert build_library(environment) == library
    assert library.stat().st_mtime_ns == built_at
    assert [path.name for path in library.parent.iterdir()] == [library.name]


def test_directory_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "mining").mkdir()
    (tmp_path / "mining").chmod(0o777)
    with pytest.raises(KernelUnavailable, match="chmod 700"):
        build_library({"CACHE_DIRECTORY": str(tmp_path)})


def test_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelUnavailable, match="apt install gcc"):
        build_library({"CACHE_DIRECTORY": str(tmp_path)})


def test_failing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'no headers' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelUnavailable, match="no headers"):
        build_library({"CACHE_DIRECTORY": str(tmp_path)})


def test_library_that_is_none_is_not_loaded(tmp_path: Path) -> None:
    broken = tmp_path / "kernel.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(KernelUnavailable, match="cannot be loaded"):
        NativeKernel(broken)


@needs_compiler
def test_kernel_that_computes_wrongly_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "kernel.c"
    source.write_text(native._SOURCE.read_text().replace("0x428a2f98", "0x428a2f99"))
    monkeypatch.setattr(native, "_SOURCE", source)
    with pytest.raises(KernelUnavailable, match="wrong hashes"):
        load_native_kernel({"CACHE_DIRECTORY": str(tmp_path)})


def test_native_kernel_can_be_switched_off() -> None:
    with pytest.raises(KernelUnavailable, match="switched off"):
        load_native_kernel({"CAIRN_NATIVE_KERNEL": "0"})


@needs_compiler
def test_a_shipped_library_is_used_by_users_without_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_SHIPPED", tmp_path / "lib")
    with pytest.raises(KernelUnavailable, match="no cache directory"):
        build_library({})
    shipped = native.ship_library()
    assert shipped.parent == tmp_path / "lib"
    assert build_library({}) == shipped
    native.check_kernel(NativeKernel(shipped))
