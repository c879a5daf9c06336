"""Settings that are right one by one and wrong together."""

import pytest

from tests.unit.test_settings import mistakes

HTTPS = {"server.https": "on"}
ANALYTICS = {"analytics.connection.url": "x"}

# what -> settings, the one to mend first
CONTRADICTIONS: dict[str, tuple[dict[str, object], str]] = {
    "heap beyond the container": ({"coreMemory": 2048, "javaOptions": "-Xmx1g -Xmx2g"}, "javaOptions"),
    "heap in gigabytes": ({"javaOptions": "-Xmx3G"}, "javaOptions"),
    "heap in megabytes": ({"javaOptions": "-Xss1m -Xmx3072m"}, "javaOptions"),
    "heap in kilobytes": ({"javaOptions": "-Xmx3145728K"}, "javaOptions"),
    "heap in bytes": ({"javaOptions": "-Xmx3221225472"}, "javaOptions"),
    "heap in terabytes": ({"coreMemory": 1048576, "javaOptions": "-Xmx1t"}, "javaOptions"),
    "secure cookies over http": ({"dhisConf": HTTPS}, "dhisConf"),
    "secure cookies in another word": ({"dhisConf": {"server.https": "true"}}, "dhisConf"),
    "secure cookies in capitals": ({"dhisConf": {"server.https": "ON"}}, "dhisConf"),
    "analytics database beside replicas": ({"dhisConf": ANALYTICS}, "dhisConf"),
    "its user alone": ({"dhisConf": {"analytics.connection.username": "x"}}, "dhisConf"),
}


@pytest.mark.parametrize(("raw", "key"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_settings_that_contradict_each_other_are_refused(raw: dict[str, object], key: str) -> None:
    (line,) = mistakes(raw)
    assert line.startswith(f"  {key}: ") and "mend it with: pulumi config" in line


FITTING: dict[str, dict[str, object]] = {
    "https": {"baseUrl": "https://dhis2.example.org", "dhisConf": HTTPS},
    "https in capitals": {"baseUrl": "HTTPS://dhis2.example.org", "dhisConf": HTTPS},
    "no secure cookies": {"dhisConf": {"server.https": "off"}},
    "an analytics database without replicas": {"replicas": 0, "dhisConf": ANALYTICS},
    "a heap with room": {"javaOptions": "-Xmx2g", "coreMemory": 3072},
    "the last of two heaps": {"javaOptions": "-Xmx4g -Xmx2g"},
    "just below, in megabytes": {"javaOptions": "-Xmx3071m"},
    "just below, in kilobytes": {"javaOptions": "-Xmx3145727k"},
    "just below, in bytes": {"javaOptions": "-Xmx3221225471"},
    "an option that ends like it": {"javaOptions": "-Dour.note=-Xmx4g"},
}


@pytest.mark.parametrize("raw", FITTING.values(), ids=FITTING.keys())
def test_what_does_not_contradict_is_taken(raw: dict[str, object]) -> None:
    assert mistakes(raw) == []


def test_a_heap_that_is_too_large_is_answered_with_a_container_it_fits_into() -> None:
    (line,) = mistakes({"javaOptions": "-Xmx4g"})
    assert line.endswith("mend it with: pulumi config set coreMemory 6144")
    assert mistakes({"javaOptions": "-Xmx4g", "coreMemory": 6144}) == []


def test_a_contradiction_is_told_beside_mistakes() -> None:
    lines = mistakes({"coreMemory": 2048, "javaOptions": "-Xmx2g", "port": "x"})
    assert [line.split(":")[0].strip() for line in lines] == ["port", "javaOptions"]


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"coreMemory": "lots", "javaOptions": "-Xmx4g"}, "coreMemory"),
        ({"baseUrl": "x", "dhisConf": HTTPS}, "baseUrl"),
        ({"replicas": "many", "dhisConf": ANALYTICS}, "replicas"),
    ],
)
def test_a_value_that_is_wrong_already_contradicts_nothing(raw: dict[str, object], key: str) -> None:
    (line,) = mistakes(raw)
    assert line.startswith(f"  {key}: "), "one mistake is told once"
