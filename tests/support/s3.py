"""S3 servers for repositories of backups and for files: moto's, in this process and in memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from moto import settings
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

ACCESS_KEY, SECRET_KEY = "key", "secret"


@contextmanager
def s3_bucket(address: str) -> Iterator[str]:
    """Yield the address of a repository in a bucket of a server on `address`, which containers reach."""
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    url = f"http://{address}:{server.get_host_and_port()[1]}"
    try:
        assert requests.put(f"{url}/backups", timeout=10).ok
        yield f"s3:{url}/backups/stack"
    finally:
        # All servers of a process have the same buckets, and the next test its own password of the repository.
        assert requests.post(f"{url}/moto-api/reset", timeout=10).ok
        server.stop()


@dataclass(frozen=True)
class S3Server:
    """A server that checks the signature of each request, and the key of one user, who may do everything."""

    url: str
    access_key: str
    secret_key: str

    @property
    def settings(self) -> dict[str, str]:
        """The keys as settings of a stack."""
        return {"fileStoreAccessKey": self.access_key, "fileStoreSecretKey": self.secret_key}

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return the content of all objects of a bucket by key."""
        return {name: bytes(item.value) for name, item in _storage().buckets[bucket].keys.items()}

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object."""
        _storage().put_object(bucket, key, content)

    def buckets(self) -> set[str]:
        """Return the names of all buckets."""
        return {*_storage().buckets}

    def add_key(self) -> "S3Server":
        """Return the server with a further key of its user."""
        return _with_key(self.url)

    def remove_key(self) -> None:
        """Refuse its key from now on."""
        _users().delete_access_key(self.access_key, USER)


USER = "dhis2"


@contextmanager
def s3_server(address: str) -> Iterator[S3Server]:
    """Yield a server on `address`, which containers reach. All servers of a process have the same users and buckets."""
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    url = f"http://{address}:{server.get_host_and_port()[1]}"
    assert requests.post(f"{url}/moto-api/reset", timeout=10).ok
    _users().create_user("us-east-1", USER)
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    _users().put_user_policy(USER, "everything", json.dumps({"Version": "2012-10-17", "Statement": [everything]}))
    before, settings.INITIAL_NO_AUTH_ACTION_COUNT = settings.INITIAL_NO_AUTH_ACTION_COUNT, 0
    try:
        yield _with_key(url)
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = before
        assert requests.post(f"{url}/moto-api/reset", timeout=10).ok
        server.stop()


def _users() -> Any:  # noqa: ANN401 - moto's own
    return iam_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _storage() -> Any:  # noqa: ANN401 - moto's own
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _with_key(url: str) -> S3Server:
    key = _users().create_access_key(USER)
    return S3Server(url, key.access_key_id, key.secret_access_key)
