"""What is put into the load balancer; what NGINX does with it is tested with NGINX."""

import json
import re
from html.parser import HTMLParser

import pytest

from components.templates.rendering import render

PAGE = render("load_balancer/starting.html")
READABLE_CONTRAST = 4.5  # WCAG 2.1, level AA, text


class Page(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self) -> None:
        """Reads the starting page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(PAGE)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        self.tags.append((tag, dict(attrs)))


def luminance(colour: str) -> float:
    """The relative luminance of a CSS colour in hexadecimal, as WCAG defines it."""
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_page_looks_again_by_itself_without_scripts() -> None:
    refresh = [found["content"] for tag, found in Page().tags if found.get("http-equiv") == "refresh"]
    assert refresh == ["5"], "a person should not have to reload"
    assert "script" not in {tag for tag, _ in Page().tags}, "it works where scripts are off"


def test_the_page_needs_nothing_from_anywhere() -> None:
    assert not re.search(r"https?:|url\(|src=|@import", PAGE), "no core answers, so nothing else can be loaded"
    assert len(PAGE) < 4096, "it is sent again and again"


def test_the_page_can_be_read_by_all() -> None:
    tags = Page().tags
    assert ("html", {"lang": "en"}) in tags, "screen readers choose their voice by it"
    assert any(tag == "main" for tag, _ in tags) and any(tag == "h1" for tag, _ in tags), "it has landmarks"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", ["text", "soft"])
def test_the_text_has_contrast(scheme: str, text: str) -> None:
    colours = re.findall(r":root \{(.*?)\}", PAGE)[0 if scheme == "light" else 1]
    found = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", colours))
    lighter, darker = sorted((luminance(found[text]), luminance(found["card"])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= READABLE_CONTRAST, "people with weak sight read it too"


def test_programs_get_the_fields_of_dhis2_s_own_errors() -> None:
    answer = json.loads(render("load_balancer/starting.json"))
    assert (answer["httpStatusCode"], answer["status"]) == (503, "ERROR"), "clients look at these"
    assert "starting" in answer["message"], "and show this"
