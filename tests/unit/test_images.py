"""The images of a stack: pinned in one file, which Renovate can read and write."""

import json
import re
import subprocess

import pytest

from components.dhis2.image_reference import image_parts
from components.settings import images
from components.settings.model import Settings
from tests.support.program import IMAGE, Run
from tests.support.project import ROOT

FILE = "components/settings/images.py"
PINNED = {
    "database-image": images.DATABASE,
    "cache-image": images.CACHE,
    "load-balancer-image": images.LOAD_BALANCER,
    "backup-image": images.BACKUP,
}
ALL = (*PINNED.values(), images.ACME, images.COPY)
OF_A_CA = {"tls": "acme", "hostname": "dhis2.example.org", "acmeEmail": "me@example.org"}
# No digest of these could be verified.
WITHOUT_DIGEST = {"ghcr.io/baosystems/postgis", "goacme/lego", "rclone/rclone"}


def test_an_image_has_a_tag_and_a_digest() -> None:
    parts = {repository: (tag, digest) for repository, tag, digest in map(image_parts, ALL)}
    assert all(tag for tag, _ in parts.values()), "a digest alone names no version"
    assert {repository for repository, (_, digest) in parts.items() if not digest} <= WITHOUT_DIGEST


def test_settings_have_the_pinned_images_unless_they_name_others(built: Run) -> None:
    recorded = built(backupSchedule="manual")
    assert {image.name: image.inputs["name"] for image in recorded.of(IMAGE) if image.name in PINNED} == PINNED
    assert built(**OF_A_CA).one(IMAGE, "acme-image").inputs["name"] == images.ACME
    chosen = f"valkey/valkey:9@sha256:{'1' * 64}"
    assert Settings.model_validate({"cacheImage": chosen}).cache_image == chosen
    assert built(cacheImage=chosen).one(IMAGE, "cache-image").inputs["name"] == chosen


def test_no_other_file_has_them() -> None:
    tagged = [reference.partition("@")[0] for reference in ALL]
    patterns = [argument for reference in tagged for argument in ("-e", reference)]
    listed = subprocess.run(
        ["git", "grep", "--untracked", "-lF", *patterns], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert listed.stdout.split() == [FILE], "Renovate would change one of them"


def test_renovate_reads_and_writes_that_file() -> None:
    config = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
    (manager,) = config["customManagers"]
    assert re.search(manager["managerFilePatterns"][0].strip("/"), FILE)
    (pattern,) = (text.replace("(?<", "(?P<") for text in manager["matchStrings"])
    text = (ROOT / FILE).read_text(encoding="utf-8")
    matches = list(re.finditer(pattern, text))
    assert {match[0].strip('"') for match in matches} == set(ALL)
    assert [image_parts(match[0].strip('"')) for match in matches] == [
        (match["depName"], match["currentValue"], match["currentDigest"]) for match in matches
    ]
    # The template in Renovate's language, Handlebars: braces in threes are not escaped.
    template = manager["autoReplaceStringTemplate"]
    assert template == '"{{{depName}}}:{{{newValue}}}{{#if newDigest}}@{{{newDigest}}}{{/if}}"'


@pytest.mark.parametrize("rule", ["pinDigests", "versioning"])
def test_renovate_adds_the_digest_of_an_image_that_has_none(rule: str) -> None:
    rules = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))["packageRules"]
    (matching,) = (item for item in rules if rule in item)
    if rule == "pinDigests":
        assert matching["pinDigests"] is True and matching["matchDatasources"] == ["docker"]
    else:
        _, tag, _ = image_parts(images.DATABASE)
        assert matching["matchPackageNames"] == [image_parts(images.DATABASE)[0]]
        assert re.fullmatch(matching["versioning"].removeprefix("regex:").replace("(?<", "(?P<"), tag or "")
