"""wrk's report is read as it stands, with its failures; anything else is refused."""

from __future__ import annotations

import pytest

from benchmarks.harness.load import Closed, failures, parse_wrk

GOOD = """\
Running 6s test @ http://127.0.0.1:8080/v2/models/fraud/infer
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.92ms    1.10ms  30.00ms   90.00%
    Req/Sec    33.00k     1.20k   35.00k    70.00%
  Latency Distribution
     50%  850.00us
     75%    2.20ms
     90%    3.00ms
     99%    1.25s
  2000 requests in 4.00s, 100.00MB read
Requests/sec:    500.00
Transfer/sec:     25.00MB
"""
REFUSED = "  Non-2xx or 3xx responses: 500\n"
BROKEN = "  Socket errors: connect 1, read 2, write 3, timeout 4\n"


def with_lines(lines: str) -> str:
    return GOOD.replace("Requests/sec", f"{lines}Requests/sec")


def test_a_good_report_is_read_with_its_units() -> None:
    assert parse_wrk(GOOD) == Closed(answered=2000, per_second=500.0, p50_ms=0.85, p99_ms=1250.0, failures=0)


@pytest.mark.parametrize(("text", "milliseconds"), [("1.00us", 1e-3), ("7.50ms", 7.5), ("2.00s", 2e3), ("1.50m", 9e4)])
def test_every_unit_of_time_becomes_milliseconds(text: str, milliseconds: float) -> None:
    assert parse_wrk(GOOD.replace("1.25s", text)).p99_ms == pytest.approx(milliseconds)


def test_refusals_are_failures_and_not_throughput() -> None:
    closed = parse_wrk(with_lines(REFUSED))
    assert (closed.answered, closed.failures) == (1500, 500)
    assert closed.per_second == pytest.approx(375.0)


def test_broken_connections_are_failures_too() -> None:
    closed = parse_wrk(with_lines(BROKEN + REFUSED))
    assert closed.failures == 510
    assert closed.answered == 1500


@pytest.mark.parametrize("line", ["Requests/sec:", "requests in", "50%", "99%"])
def test_a_report_without_one_of_its_figures_is_refused(line: str) -> None:
    rest = "".join(kept for kept in GOOD.splitlines(keepends=True) if line not in kept)
    with pytest.raises(ValueError, match="not a report of wrk"):
        parse_wrk(rest)


def test_loadgens_failures_are_other_answers_and_none() -> None:
    report = {"answered": 10, "by_status": {"200": 7, "429": 2, "503": 1}, "errors": 4}
    assert failures(report) == 7
    assert failures({"answered": 3, "by_status": {"503": 3}, "errors": 0}) == 3
