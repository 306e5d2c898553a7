"""Every sample counts for one part of a request's way: the classifier, what it reads, and the page it fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.profiling.page import BEGIN, END, Profile, markdown, rewrite
from benchmarks.profiling.parts import Part, part_of
from benchmarks.profiling.samples import Frame, Sample, load_bias, parse, parse_addr2line, shares

CORE = "_core.abi3.so"
OWN = "/home/me/fairlead/crates/dataplane/src/"
CRATES = "/home/me/.cargo/registry/src/some-index-0123/"
STD = "/rustc/0123abcd/library/"

SCRIPT = """\
io-0  4242
\tffffffff81000010 __schedule ([kernel.kallsyms])
\tffffffff81000020 ep_poll ([kernel.kallsyms])
\t    7f0000001000 epoll_wait (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    7f0000002000 [unknown] ([unknown])

a thread 4243
\t    7f1000000abc <fairlead_dataplane::lane::Lane as core::ops::drop::Drop>::drop (/own/_core.abi3.so)

log-writer 4244

"""


def user(source: str, function: str = "f", library: str = CORE) -> Sample:
    return Sample("io-0", (), (Frame(function, library, source),))


def chain(*sources: str) -> Sample:
    return Sample("io-0", (), tuple(Frame("f", CORE, source) for source in sources))


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
        ("libstdc++.so.6", "operator new(unsigned long)", Part.ALLOCATION),
        (CORE, "_mi_page_malloc_zero", Part.ALLOCATION),
        (CORE, "mi_free", Part.ALLOCATION),
        ("libc.so.6", "__memmove_avx_unaligned_erms", Part.ALLOCATION),
        ("libc.so.6", "_int_malloc", Part.ALLOCATION),
        ("libc.so.6", "cfree@GLIBC_2.2.5", Part.ALLOCATION),
        ("libc.so.6", "clock_gettime@@GLIBC_2.17", Part.CLOCK),
        ("libc.so.6", "__libc_recv", Part.NETWORK),
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
    assert part_of(Sample("io-0", functions, (Frame(wrapper, "libc.so.6"),))) is part


def test_all_that_the_logs_threads_do_is_the_log_writers() -> None:
    frame = Frame("write", "libc.so.6")
    assert part_of(Sample("log-writer", ("ext4_file_write_iter",), (frame,))) is Part.LOG_WRITER
    assert part_of(Sample("log-closer", (), (frame,))) is Part.LOG_WRITER
    assert part_of(Sample("io-0", (), ())) is Part.OTHER


def test_perfs_text_is_read_frame_by_frame() -> None:
    first, second, third = parse(SCRIPT)
    assert first == Sample(
        "io-0", ("__schedule", "ep_poll"), (Frame("epoll_wait", "libc.so.6"),), address=0x7F0000001000
    )
    drop = "<fairlead_dataplane::lane::Lane as core::ops::drop::Drop>::drop"
    assert second == Sample("a thread", (), (Frame(drop, CORE),), address=0x7F1000000ABC)
    assert (third.thread, third.leaf, second.leaf, first.leaf) == ("log-writer", "[unknown]", drop, "__schedule")


@pytest.mark.parametrize("text", ["no samples at all", "io-0 1\n\tnot a frame\n"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        list(parse(text))


def test_inlined_functions_are_read_innermost_first() -> None:
    text = f"0x1a\nnext\n{STD}core/src/iter.rs:12\nscan\n{OWN}wire/scan.rs:40 (discriminator 2)\n0x2b\n??\n??:0\n"
    chains = dict(parse_addr2line(text, CORE))
    assert chains == {
        0x1A: (Frame("next", CORE, STD + "core/src/iter.rs"), Frame("scan", CORE, OWN + "wire/scan.rs")),
        0x2B: (Frame("??", CORE, "??"),),
    }


def test_a_library_is_found_where_it_is_mapped() -> None:
    maps = (
        "7f0000000000-7f0000010000 r--p 00000000 fe:00 11 /other/_core.abi3.so\n"
        "7f1000010000-7f1000020000 r-xp 00010000 fe:00 12 /own/_core.abi3.so\n"
        "7f1000000000-7f1000010000 r--p 00000000 fe:00 12 /own/_core.abi3.so\n"
        "7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0\n"
    )
    assert load_bias(maps, Path("/own/_core.abi3.so")) == 0x7F1000000000
    with pytest.raises(LookupError, match=r"_core\.abi3\.so is not mapped"):
        load_bias(maps, Path("/third/_core.abi3.so"))


def test_shares_add_up_to_one() -> None:
    assert shares({"a": 3, "b": 1}) == {"a": 0.75, "b": 0.25}
    with pytest.raises(ValueError, match="no samples"):
        shares({})


def profile() -> Profile:
    functions = {"inference: run": 0.75, "other: odd": 0.25}
    parts = {"inference": 0.75, "other": 0.25}
    return Profile(64, 1000.0, 900.0, 20.0, 8, parts, {"io": 1.0}, functions)


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
    assert "Largest in `other`: `other: odd` 25.0 %." in text


def test_only_what_is_between_the_markers_is_rewritten() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert rewrite(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert rewrite(rewrite(page, "new\n"), "new\n") == rewrite(page, "new\n")


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{END}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="the page needs"):
        rewrite(page, "new\n")
