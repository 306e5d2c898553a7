"""Which part of a request's way a sample belongs to: by thread, kernel call chain, source file or symbol."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.profiling.samples import Sample


class Part(StrEnum):
    """The parts, in the order of a request's way."""

    NETWORK = "kernel: network"
    KERNEL = "kernel: scheduling and other"
    HTTP = "HTTP and runtime"
    PARSE = "parse"
    VALIDATE = "validate"
    EXECUTE = "queue, execute, decide"
    INFERENCE = "inference"
    WRITE = "write"
    STATISTICS = "statistics and metrics"
    LOG_HAND_OVER = "log hand-over"
    LOG_WRITER = "log writer"
    ALLOCATION = "allocation and copies"
    CLOCK = "clock"
    OTHER = "other"


# Own modules: the longest path that fits wins.
_MODULES = {
    "answer": Part.EXECUTE,
    "error": Part.EXECUTE,
    "execute": Part.EXECUTE,
    "histogram": Part.STATISTICS,
    "ids": Part.EXECUTE,
    "infer": Part.INFERENCE,
    "lane": Part.EXECUTE,
    "log": Part.LOG_HAND_OVER,
    "metrics": Part.STATISTICS,
    "model": Part.EXECUTE,
    "plan": Part.EXECUTE,
    "serve": Part.HTTP,
    "stats": Part.STATISTICS,
    "tensor": Part.EXECUTE,
    "validate": Part.VALIDATE,
    "violation": Part.VALIDATE,
    "wire": Part.PARSE,
    "wire/oip/write": Part.WRITE,
    "wire/records/write": Part.WRITE,
}
_CRATES = {
    **dict.fromkeys(("hyper", "hyper_util", "http", "http_body", "http_body_util", "httparse", "httpdate"), Part.HTTP),
    **dict.fromkeys(("h2", "tokio", "mio", "socket2"), Part.HTTP),
    **dict.fromkeys(("ort", "ort_sys"), Part.INFERENCE),
    **dict.fromkeys(("mimalloc", "libmimalloc_sys"), Part.ALLOCATION),
    "prometheus_client": Part.STATISTICS,
    "arrow_array": Part.LOG_HAND_OVER,
}
# Used by several parts: these count only where no caller is known.
_SHARED_CRATES = {
    **dict.fromkeys(("bytes", "futures_core", "futures_util", "futures_channel", "want", "slab"), Part.HTTP),
    **dict.fromkeys(("fast_float2", "memchr", "serde_json"), Part.PARSE),
    **dict.fromkeys(("itoa", "ryu", "zmij"), Part.WRITE),
}
_OWN = re.compile(r"crates/dataplane/src/(.+)\.rs$")
_CRATE = re.compile(r"/registry/src/[^/]+/([A-Za-z0-9_-]+?)-\d[^/]*/")
_STD_ALLOCATION = re.compile(r"library/alloc/src/(alloc|raw_vec)\b")
_STD_CLOCK = re.compile(r"library/std/src/(sys/.*)?time\b")
_ALLOCATOR = re.compile(r"_*mi_|operator (new|delete)")
_LIBC_MEMORY = re.compile(
    r"_*(int_)?([mc]alloc|realloc|c?free)(_|@|$)|tcache_|unlink_chunk|_*mem(p?cpy|move|set|r?chr|cmp)"
)
_SOCKET_CALL = re.compile(r"_*(GI_+)?(libc_)?(send|recv|epoll_|read|write|accept|syscall)|.*_asynccancel$")
_MUTEX = re.compile(r"_*(GI_+)?pthread_mutex_")
"""Only onnxruntime's: Rust's are futexes."""
_NETWORK = re.compile(
    r"__x64_sys_(send|recv|epoll|accept)|__sys_(send|recv)|do_epoll|ep_|sock_|tcp_|inet_|ip_|net_rx|eventfd_"
)
_SCHEDULER = re.compile(r"_*schedule(_|$)|.*(sysvec_|_interrupt$)|irqentry|asm_exc_page_fault")
# Nobody but onnxruntime uses the two C and C++ libraries.
_LIBRARIES = (("[vdso]", Part.CLOCK), ("libm.so", Part.INFERENCE), ("libstdc++.so", Part.INFERENCE))


def part_of(sample: Sample) -> Part:
    """The part that a sample counts for.

    Everything on the log's threads is the log writer's. In the kernel the innermost frame that says something decides,
    then the call that entered it; in user mode the innermost function, among those inlined, that belongs to a part.
    """
    if sample.thread.startswith("log-"):
        return Part.LOG_WRITER
    if sample.kernel:
        return _kernel_part(sample)
    return _library_part(sample.library, sample.function) or _code_part(sample)


def _kernel_part(sample: Sample) -> Part:
    for function in sample.kernel:
        if _SCHEDULER.match(function):
            return Part.KERNEL
        if _NETWORK.match(function):
            return Part.NETWORK
    # The entry and the exit of a system call: the wrapper that made the call knows which it was.
    known = sample.library.startswith("libc.") and _SOCKET_CALL.match(sample.function)
    return Part.NETWORK if known else Part.KERNEL


def _library_part(library: str, function: str) -> Part | None:
    if library.startswith("libonnxruntime"):
        return Part.INFERENCE
    if _ALLOCATOR.match(function):
        return Part.ALLOCATION
    if library.startswith("libc."):
        return _libc_part(function)
    return next((part for name, part in _LIBRARIES if library.startswith(name)), None)


def _libc_part(function: str) -> Part:
    if _LIBC_MEMORY.match(function):
        return Part.ALLOCATION
    if "clock_gettime" in function:
        return Part.CLOCK
    if _MUTEX.match(function):
        return Part.INFERENCE
    return Part.NETWORK if _SOCKET_CALL.match(function) else Part.OTHER


def _code_part(sample: Sample) -> Part:
    for source in sample.sources:
        if (part := _source_part(source)) is not None:
            return part
    for source in sample.sources:
        crate = _CRATE.search(source)
        if crate is not None and (part := _SHARED_CRATES.get(_identifier(crate[1]))) is not None:
            return part
    return _symbol_part(sample.function)


def _source_part(source: str) -> Part | None:
    if own := _OWN.search(source):
        return _module_part(own[1])
    if crate := _CRATE.search(source):
        return _CRATES.get(_identifier(crate[1]))
    if _STD_ALLOCATION.search(source):
        return Part.ALLOCATION
    return Part.CLOCK if _STD_CLOCK.search(source) else None


def _module_part(path: str) -> Part | None:
    """For `wire/oip/write` or `wire/scan/number`: its own part, or that of the nearest module above."""
    while path:
        if path in _MODULES:
            return _MODULES[path]
        path = path.rpartition("/")[0]
    return None


def _symbol_part(symbol: str) -> Part:
    """By the first name that says something: `drop_in_place<fairlead_dataplane::lane::Job>` is of `lane`."""
    for name in re.findall(r"[A-Za-z_]\w*(?:::[a-z_]\w*)*", symbol):
        crate, _, path = name.partition("::")
        if crate == "fairlead_dataplane":
            part = _module_part(path.replace("::", "/"))
        else:
            part = _CRATES.get(crate) or _SHARED_CRATES.get(crate)
        if part is not None:
            return part
    return Part.OTHER


def _identifier(crate: str) -> str:
    return crate.replace("-", "_")
