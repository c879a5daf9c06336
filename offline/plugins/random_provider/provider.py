"""The fake random provider's resource types and process."""

import base64
import secrets
import string
import sys
from importlib import metadata
from pathlib import Path

import bcrypt
from pulumi.runtime.proto import provider_pb2_grpc

from offline.plugins.grpc_server import serve
from offline.plugins.property_values import Properties
from offline.plugins.provider import Provider
from offline.plugins.resource import Resource
from offline.plugins.resource_schema import schemas

SCHEMAS = schemas(Path(__file__).with_name("schema.json"))
PASSWORD, IDENTIFIER = "random:index/randomPassword:RandomPassword", "random:index/randomId:RandomId"
BCRYPT_BYTES = 72  # what bcrypt reads of a password


class RandomPassword(Resource):
    """A password of letters and digits; its id reveals nothing of it."""

    schema = SCHEMAS[PASSWORD]

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        password = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(inputs["length"]))
        hashed = bcrypt.hashpw(password.encode()[:BCRYPT_BYTES], bcrypt.gensalt(rounds=10)).decode()
        return "none", {**inputs, "result": password, "bcryptHash": hashed}


class RandomId(Resource):
    """Random bytes in several encodings."""

    schema = SCHEMAS[IDENTIFIER]

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        content = secrets.token_bytes(inputs["byteLength"])
        url = base64.urlsafe_b64encode(content).decode().rstrip("=")
        encodings = {"hex": content.hex(), "dec": str(int.from_bytes(content)), "b64Url": url}
        return url, {**inputs, **encodings, "b64Std": base64.b64encode(content).decode()}


def main() -> int:
    """Serve until the Pulumi CLI ends."""
    provider = Provider(
        "random", metadata.version("pulumi-random"), {PASSWORD: RandomPassword(), IDENTIFIER: RandomId()}
    )
    return serve(provider_pb2_grpc.add_ResourceProviderServicer_to_server, provider)


if __name__ == "__main__":
    sys.exit(main())
