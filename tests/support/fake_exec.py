"""The start of a command by a fake Docker Engine, as components/orchestrator/commands.py asks for it."""

import struct
from abc import ABC, abstractmethod

import requests


class FakeExec(ABC):
    """What a fake Docker SDK client inherits: it answers with the bytes of `output_of`, framed."""

    base_url = "http+docker://localhost"
    api_version = "1.41"

    @abstractmethod
    def output_of(self, exec_id: str) -> bytes:
        """Return what a command prints."""

    def post(self, url: str, json: object, timeout: object) -> requests.Response:
        """Answer as Docker Engine does: one frame per write of the command, to stdout here."""
        *_, exec_id, start = url.split("/")
        assert start == "start", url
        response = requests.Response()
        response.status_code = 200
        output = self.output_of(exec_id)
        response._content = struct.pack(">BxxxL", 1, len(output)) + output if output else b""
        return response
