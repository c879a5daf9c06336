"""Measured series and how they are reported: medians with minimum and maximum, ratios within one run."""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDTH = 12
_SECONDS_OF = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_WRK_MEDIAN = re.compile(r"^\s+50%\s+([0-9.]+)(us|ms|s|m|h) *$", re.MULTILINE)  # `s` is followed by a space
_WRK_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)$", re.MULTILINE)
_WRK_REFUSED = re.compile(r"^\s+(Socket errors|Non-2xx or 3xx responses): .*[1-9].*$", re.MULTILINE)


@dataclass(frozen=True)
class Series:
    """One value for each repetition, in their order; at least one."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Series":
        """A series of measured values."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two in the middle."""
        return statistics.median(self.values)

    def by(self, other: "Series") -> "Series":
        """The ratios of what was measured in the same repetition: the machine's other work hits both alike."""
        return self._with(other, lambda one, two: one / two)

    def minus(self, other: "Series") -> "Series":
        """The differences of what was measured in the same repetition."""
        return self._with(other, lambda one, two: one - two)

    def _with(self, other: "Series", combine: Callable[[float, float], float]) -> "Series":
        return Series(tuple(combine(one, two) for one, two in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True)
class Row:
    """A line of a report. `digits` are those after the point; `aim` is the largest median that is wanted."""

    what: str
    series: Series
    digits: int = 2
    aim: float | None = None

    def text(self, width: int) -> str:
        """The line: name, median, smallest, largest, and how the median stands to the aim."""
        numbers = (self.series.median, min(self.series.values), max(self.series.values))
        line = self.what.ljust(width) + "".join(f"{number:{_WIDTH},.{self.digits}f}" for number in numbers)
        if self.aim is None:
            return line
        return f"{line}   aim ≤ {self.aim:g}: {'reached' if self.series.median <= self.aim else 'MISSED'}"


def table(title: str, rows: Sequence[Row]) -> str:
    """A report of several lines under a title that tells the sizes."""
    width = max(len(row.what) for row in rows) + 2
    head = "".ljust(width) + "".join(name.rjust(_WIDTH) for name in ("median", "min", "max"))
    return "\n".join([title, head, *(row.text(width) for row in rows)])


@dataclass(frozen=True)
class Throughput:
    """What one run of wrk tells: the median latency in milliseconds, and requests per second."""

    median_ms: float
    per_second: float


def throughput(report: str) -> Throughput:
    """Read what `wrk --latency` prints. Raises ValueError when requests failed, or there is no result."""
    refused = _WRK_REFUSED.search(report)
    median, rate = _WRK_MEDIAN.search(report), _WRK_RATE.search(report)
    if refused or not median or not rate:
        raise ValueError(f"not every request was answered as it should be:\n{report.strip()}")
    return Throughput(float(median[1]) * _SECONDS_OF[median[2]] * 1000, float(rate[1]))


def phases(lines: Sequence[tuple[float, str]], begins: Sequence[tuple[str, str]], end: float) -> dict[str, float]:
    """Seconds spent in each phase of a log, in the order they came; what comes first is called `start`.

    `lines` are (epoch seconds, text), `begins` are (beginning of a line, name of the phase it opens), `end` is when
    the last phase was over. A phase that is opened again goes on.
    """
    spent: dict[str, float] = {}
    name, since = "start", lines[0][0] if lines else end
    for at, text in lines:
        opened = next((phase for beginning, phase in begins if text.startswith(beginning)), name)
        if opened != name:
            spent[name] = spent.get(name, 0.0) + at - since
            name, since = opened, at
    spent[name] = spent.get(name, 0.0) + end - since
    return spent
