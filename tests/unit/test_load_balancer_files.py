"""The pages of the load balancer; what NGINX does with its files is tested with NGINX."""

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
        """Read the starting page."""
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


def test_the_page_reloads_without_scripts() -> None:
    refresh = [attributes["content"] for _, attributes in Page().tags if attributes.get("http-equiv") == "refresh"]
    assert refresh == ["5"], "users need not reload by hand"
    assert "script" not in {tag for tag, _ in Page().tags}, "it works where scripts are disabled"


def test_the_page_is_self_contained() -> None:
    assert not re.search(r"https?:|url\(|src=|@import", PAGE), "no core answers, so nothing else can be fetched"
    assert len(PAGE) < 4096, "browsers fetch it every five seconds"


def test_the_page_is_accessible() -> None:
    tags = Page().tags
    assert ("html", {"lang": "en"}) in tags, "screen readers choose their voice by it"
    assert any(tag == "main" for tag, _ in tags) and any(tag == "h1" for tag, _ in tags), "it has landmarks"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", ["text", "soft"])
def test_the_text_has_contrast(scheme: str, text: str) -> None:
    root = re.findall(r":root \{(.*?)\}", PAGE)[0 if scheme == "light" else 1]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", root))
    lighter, darker = sorted((luminance(colours[text]), luminance(colours["card"])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= READABLE_CONTRAST, "WCAG 2.1 level AA"


def test_programs_get_the_fields_of_dhis2_s_own_errors() -> None:
    response = json.loads(render("load_balancer/starting.json"))
    assert (response["httpStatusCode"], response["status"]) == (503, "ERROR"), "clients read these"
    assert "starting" in response["message"], "and show this one"
