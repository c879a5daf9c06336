"""What the benchmarks read: the report of wrk, and the kernel's counters."""

import pytest

from bench.figures import throughput
from bench.swarm import idle_percent, processor_ticks

WRK = """\
  1 threads and 800 connections
  Latency Distribution
     50%  {median}
     99%    2.65s \n
  1000 requests in 3.08s, 528.32KB read
Requests/sec:    324.98
"""


@pytest.mark.parametrize(("median", "milliseconds"), [("830.00us", 0.83), ("8.30ms", 8.3), ("  1.53s ", 1530)])
def test_the_median_of_wrk_is_read_in_any_unit(median: str, milliseconds: float) -> None:
    assert throughput(WRK.format(median=median)).median_ms == pytest.approx(milliseconds)


@pytest.mark.parametrize("failed", ["  Non-2xx or 3xx responses: 12", "  Socket errors: connect 0, read 3, write 0"])
def test_a_run_with_failed_requests_has_no_figures(failed: str) -> None:
    with pytest.raises(ValueError, match="not every request was answered"):
        throughput(f"{WRK.format(median='8.30ms')}{failed}\n")


def test_idle_processors_are_those_without_work_or_waiting_for_a_disk() -> None:
    before = processor_ticks(lambda: "cpu  100 0 50 1000 10 0 5 2 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    after = processor_ticks(lambda: "cpu  160 0 70 1015 15 0 5 2 60 0\n")
    assert idle_percent(before, after) == pytest.approx(20), "20 of 100 ticks; a guest's count as user time already"
