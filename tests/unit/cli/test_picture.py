"""The picture of `status` in the README is what `status` prints."""

from xml.etree import ElementTree as ET

from cli.picture import COLUMNS, PICTURE, picture
from tests.unit.pages import text_of


def test_the_picture_is_current() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), "write it again: python -m cli.picture"
    assert "](docs/status.svg)" in text_of("README.md")


def test_a_viewer_of_the_picture_asks_no_other_server() -> None:
    for element in ET.fromstring(picture()).iter():  # noqa: S314 - our own
        assert "url(http" not in (element.text or "")
        assert not [value for name, value in element.attrib.items() if name.endswith("href")]


def test_the_picture_is_readable_in_a_page() -> None:
    assert COLUMNS <= 80
    assert "clip-path" in picture()
