"""Every sample counts for one part of a request's way: the classifier, what it reads, and the page it fills."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.profiling.page import BEGIN, END, Profile, markdown, rewrite
from benchmarks.profiling.parts import Part, part_of
from benchmarks.profiling.samples import Sample, parse, parse_addr2line, shares, unfold, virtual_address

CORE = "_core.abi3.so"
OWN = "/home/me/fairlead/crates/dataplane/src/"
CRATES = "/home/me/.cargo/registry/src/some-index-0123/"
STD = "/rustc/0123abcd/library/"

SCRIPT = """\
io-0  4242
\tffffffff81000010 __schedule ([kernel.kallsyms])
\tffffffff81000020 ep_poll ([kernel.kallsyms])
\t           e1000 epoll_wait (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    7f0000002000 [unknown] ([unknown])

a thread 4243
\t           42abc <fairlead_dataplane::lane::Lane as core::ops::drop::Drop>::drop (/own/_core.abi3.so)

log-writer 4244

"""


def user(source: str, function: str = "f", library: str = CORE) -> Sample:
    return Sample("io-0", (), function, library, sources=(source,))


def chain(*sources: str) -> Sample:
    return Sample("io-0", (), "f", CORE, sources=sources)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (OWN + "serve/http.rs", Part.HTTP),
        (CRATES + "hyper-1.12.0/src/proto/h1/io.rs", Part.HTTP),
        (CRATES + "hyper-util-0.1.21/src/rt/tokio.rs", Part.HTTP),
        (CRATES + "tokio-1.54.0/src/runtime/task/raw.rs", Part.HTTP),
        (OWN + "wire/oip.rs", Part.PARSE),
        (OWN + "wire/oip/decode.rs", Part.PARSE),
        (OWN + "wire/scan/number.rs", Part.PARSE),
        (OWN + "wire/oip/write.rs", Part.WRITE),
        (OWN + "wire/records/write.rs", Part.WRITE),
        (OWN + "validate.rs", Part.VALIDATE),
        (OWN + "lane.rs", Part.EXECUTE),
        (OWN + "execute.rs", Part.EXECUTE),
        (OWN + "infer/onnx.rs", Part.INFERENCE),
        (CRATES + "ort-2.0.0-rc.15/src/session/mod.rs", Part.INFERENCE),
        (OWN + "metrics.rs", Part.STATISTICS),
        (CRATES + "prometheus-client-0.25.0/src/metrics/counter.rs", Part.STATISTICS),
        (OWN + "log/queue.rs", Part.LOG_HAND_OVER),
        (CRATES + "libmimalloc-sys-0.1.49/c_src/mimalloc/src/alloc.c", Part.ALLOCATION),
        (STD + "alloc/src/raw_vec/mod.rs", Part.ALLOCATION),
        (STD + "std/src/sys/time/unix.rs", Part.CLOCK),
        (CRATES + "ryu-1.0.20/src/pretty/mod.rs", Part.WRITE),
        (CRATES + "unheard-of-1.0.0/src/lib.rs", Part.OTHER),
    ],
)
def test_a_source_file_belongs_to_a_part(source: str, part: Part) -> None:
    assert part_of(user(source)) is part


def test_the_innermost_inlined_function_that_belongs_somewhere_decides() -> None:
    vec = STD + "alloc/src/vec/mod.rs"
    assert part_of(chain(vec, STD + "core/src/slice/mod.rs", OWN + "wire/scan.rs", OWN + "answer.rs")) is Part.PARSE
    assert part_of(chain(OWN + "lane.rs", OWN + "wire/scan.rs")) is Part.EXECUTE


def test_a_shared_crate_counts_for_its_caller_where_there_is_one() -> None:
    itoa = CRATES + "itoa-1.0.19/src/lib.rs"
    assert part_of(chain(itoa, CRATES + "hyper-1.12.0/src/proto/h1/role.rs")) is Part.HTTP
    assert part_of(chain(itoa, OWN + "wire/oip/write.rs")) is Part.WRITE
    assert part_of(chain(itoa)) is Part.WRITE


@pytest.mark.parametrize(
    ("symbol", "part"),
    [
        ("core::ptr::drop_in_place<fairlead_dataplane::lane::Job>", Part.EXECUTE),
        ("<alloc::vec::Vec<T> as Clone>::clone::<fairlead_dataplane::wire::oip::write::X>", Part.WRITE),
        ("core::ptr::drop_in_place<tokio::task::Cell<fairlead_dataplane::lane::Job>>", Part.HTTP),
        ("core::fmt::write", Part.OTHER),
        ("[unknown]", Part.OTHER),
    ],
)
def test_without_a_source_file_the_symbol_decides(symbol: str, part: Part) -> None:
    assert part_of(user("", symbol)) is part


@pytest.mark.parametrize(
    ("library", "function", "part"),
    [
        ("libonnxruntime.so.1.32.0", "OrtGetApiBase", Part.INFERENCE),
        ("libonnxruntime.so.1.32.0", "operator new(unsigned long)", Part.INFERENCE),
        ("libstdc++.so.6.0.30", "operator new(unsigned long)", Part.ALLOCATION),
        ("libstdc++.so.6.0.30", "__cxa_get_globals", Part.INFERENCE),
        ("libm.so.6", "__expf_fma", Part.INFERENCE),
        (CORE, "_mi_page_malloc_zero", Part.ALLOCATION),
        (CORE, "mi_free", Part.ALLOCATION),
        ("libc.so.6", "__memmove_avx_unaligned_erms", Part.ALLOCATION),
        ("libc.so.6", "_int_malloc", Part.ALLOCATION),
        ("libc.so.6", "cfree@GLIBC_2.2.5", Part.ALLOCATION),
        ("libc.so.6", "clock_gettime@@GLIBC_2.17", Part.CLOCK),
        ("libc.so.6", "__libc_recv", Part.NETWORK),
        ("libc.so.6", "__GI___libc_write", Part.NETWORK),
        ("libc.so.6", "__GI___pthread_disable_asynccancel", Part.NETWORK),
        ("libc.so.6", "pthread_mutex_lock@@GLIBC_2.2.5", Part.INFERENCE),
        ("libc.so.6", "freeaddrinfo", Part.OTHER),
        ("[vdso]", "__vdso_clock_gettime", Part.CLOCK),
        ("python3.11", "_PyEval_EvalFrameDefault", Part.OTHER),
    ],
)
def test_a_library_belongs_to_a_part(library: str, function: str, part: Part) -> None:
    assert part_of(user("", function, library)) is part


@pytest.mark.parametrize(
    ("functions", "wrapper", "part"),
    [
        (("tcp_sendmsg_locked", "sock_sendmsg", "__x64_sys_sendto"), "send", Part.NETWORK),
        (("_raw_spin_lock", "tcp_v4_rcv", "net_rx_action", "__x64_sys_sendto"), "send", Part.NETWORK),
        (("__schedule", "schedule", "ep_poll", "__x64_sys_epoll_wait"), "epoll_wait", Part.KERNEL),
        (("hrtimer_interrupt", "sysvec_apic_timer_interrupt", "tcp_sendmsg"), "send", Part.KERNEL),
        (("do_user_addr_fault", "asm_exc_page_fault"), "memcpy", Part.KERNEL),
        (("do_syscall_64", "entry_SYSCALL_64_after_hwframe"), "__send", Part.NETWORK),
        (("do_syscall_64", "entry_SYSCALL_64_after_hwframe"), "madvise", Part.KERNEL),
    ],
)
def test_the_kernel_is_told_apart_by_its_call_chain(functions: tuple[str, ...], wrapper: str, part: Part) -> None:
    assert part_of(Sample("io-0", functions, wrapper, "libc.so.6")) is part


def test_all_that_the_logs_threads_do_is_the_log_writers() -> None:
    assert part_of(Sample("log-writer", ("ext4_file_write_iter",), "write", "libc.so.6")) is Part.LOG_WRITER
    assert part_of(Sample("log-closer", (), "mi_free", CORE)) is Part.LOG_WRITER
    assert part_of(Sample("io-0", ())) is Part.OTHER


def test_perfs_text_is_read_frame_by_frame() -> None:
    first, second, third = parse(SCRIPT)
    assert first == Sample("io-0", ("__schedule", "ep_poll"), "epoll_wait", "libc.so.6", 0xE1000)
    drop = "<fairlead_dataplane::lane::Lane as core::ops::drop::Drop>::drop"
    assert second == Sample("a thread", (), drop, CORE, 0x42ABC)
    assert (third.thread, third.leaf, second.leaf, first.leaf) == ("log-writer", "[unknown]", drop, "__schedule")


@pytest.mark.parametrize("text", ["no samples at all", "io-0 1\n\tnot a frame\n"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        list(parse(text))


def test_functions_and_sources_are_read_innermost_first() -> None:
    text = f"0x1a\nrow\n{STD}core/src/iter.rs:12\nscan\n{OWN}wire/scan.rs:40 (discriminator 2)\n0x2b\n??\n??:0\n"
    assert dict(parse_addr2line(text)) == {
        0x1A: (("row", "scan"), (STD + "core/src/iter.rs", OWN + "wire/scan.rs")),
        0x2B: (("??",), ("??",)),
    }


def test_an_offset_in_a_file_becomes_an_address_by_its_segment() -> None:
    segments = [(0x0, 0x0, 0x1000), (0x1000, 0x3000, 0x500)]
    assert [virtual_address(offset, segments) for offset in (0x0, 0xFFF, 0x1000, 0x14FF)] == [0, 0xFFF, 0x3000, 0x34FF]
    with pytest.raises(LookupError, match="0x1500 is in no segment"):
        virtual_address(0x1500, segments)


def test_shares_add_up_to_one() -> None:
    assert shares({"a": 3, "b": 1}) == {"a": 0.75, "b": 0.25}
    with pytest.raises(ValueError, match="no samples"):
        shares({})


def profile() -> Profile:
    functions = {"inference: run": 0.75, "other: odd": 0.25}
    parts = {"inference": 0.75, "other": 0.25}
    return Profile(64, 1000.0, 900.0, 20.0, 8, 0.97, parts, {"io": 1.0}, functions)


def test_microseconds_of_the_parts_add_up_to_the_servers() -> None:
    rows = {row.name: row for row in profile().rows()}
    assert rows["c=64: inference"].value == 15.0
    assert rows["c=64: clock"].value == 0.0
    assert sum(rows[f"c=64: {part}"].value or 0.0 for part in Part) == rows["c=64: server CPU a request"].value
    assert {row.unit for row in rows.values()} == {"us"}
    assert {row.ok for row in rows.values()} == {None}


def test_the_page_says_what_is_not_explained() -> None:
    text = markdown([profile()], "measured somewhere")
    assert text.startswith("measured somewhere\n")
    assert "| inference | 15.00 | 75.0 % |" in text
    assert "| threads `io` | 20.00 | 100.0 % |" in text
    assert "8 samples (97 % of the CPU time that /proc has)" in text
    assert "Largest in `other`: `other: odd` 25.0 %." in text


def test_only_what_is_between_the_markers_is_rewritten() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert rewrite(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert rewrite(rewrite(page, "new\n"), "new\n") == rewrite(page, "new\n")


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{END}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="the page needs"):
        rewrite(page, "new\n")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared library with line tables, in which `inner` is inlined into `outer`."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "inner.h").write_text(
        "static inline __attribute__((always_inline)) int inner(int x) { return x * x / 7; }\n"
    )
    (folder / "outer.c").write_text('#include "inner.h"\nint outer(int x) { return inner(x + 3); }\n')
    built = folder / "libouter.so"
    subprocess.run(["cc", "-O2", "-g1", "-shared", "-fPIC", "-o", str(built), str(folder / "outer.c")], check=True)
    return built


def test_samples_get_the_sources_of_what_is_inlined_there(library: Path) -> None:
    found = unfold([Sample("io-0", (), "outer", library.name, offset) for offset in outer(library)], library)
    assert all(Path(sample.sources[-1]).name == "outer.c" for sample in found)
    assert any([Path(source).name for source in sample.sources] == ["inner.h", "outer.c"] for sample in found)


def test_samples_of_other_libraries_stay_as_they_are(library: Path) -> None:
    inside = Sample("io-0", (), "outer", library.name, outer(library)[0])
    others = [Sample("io-0", (), "send", "libc.so.6", 7), Sample("io-0", ("schedule",))]
    assert unfold([inside, *others], library)[1:] == others


def test_line_tables_that_contradict_perf_are_refused(library: Path) -> None:
    contradicting = [Sample("io-0", (), "something_else", library.name, offset) for offset in outer(library)]
    with pytest.raises(ValueError, match=r"addresses in libouter\.so only 0 are of the function perf names"):
        unfold(contradicting, library)
    with pytest.raises(ValueError, match="of 0 addresses"):
        unfold([Sample("io-0", (), "send", "libc.so.6", 7)], library)


def outer(library: Path) -> list[int]:
    """Offsets of the bytes of `outer`; a small library's text lies in the file where it lies in memory."""
    lines = subprocess.run(
        ["nm", "--print-size", str(library)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    start, size = next(
        (int(line.split()[0], 16), int(line.split()[1], 16)) for line in lines if line.endswith(" outer")
    )
    return list(range(start, start + size))
