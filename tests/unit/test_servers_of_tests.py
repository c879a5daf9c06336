"""What tests start servers with: ports that stay free, and an S3 server that is empty."""

from pathlib import Path

import pytest
import requests

from tests.support.ports import LOOPBACK, free_port
from tests.support.s3 import s3_bucket

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_outgoing_connection_takes_a_port_of_a_test() -> None:
    first, last = map(int, EPHEMERAL.read_text().split()) if EPHEMERAL.exists() else (32_768, 65_535)
    assert not any(first <= free_port() <= last for _ in range(1000))


def test_an_address_of_another_machine_has_no_port() -> None:
    with pytest.raises(OSError, match="assign"):
        free_port("192.0.2.7")


def test_a_bucket_has_nothing_of_the_one_before() -> None:
    for _ in range(2):
        with s3_bucket(LOOPBACK) as repository:
            url = repository.removeprefix("s3:")
            assert requests.get(f"{url}/config", timeout=10).status_code == requests.codes["not_found"]
            assert requests.put(f"{url}/config", data=b"of a stack", timeout=10).ok
