"""Dynamic resources with the real CLI: the SDK's provider is started as the one that comes with the official CLI."""

import sys

import pytest

from offline.tests.e2e.project import SECRET, Project

pytestmark = pytest.mark.e2e

# In a module of its own: what is in __main__ would be in the state as code.
MODULE = """\
import sys

from pulumi import dynamic


class Provider(dynamic.ResourceProvider):
    serialize_as_secret_always = False

    def create(self, props):
        return dynamic.CreateResult("made", dict(props))

    def diff(self, _id, olds, news):
        return dynamic.DiffResult(changes=olds["text"] != news["text"])

    def update(self, _id, olds, news):
        return dynamic.UpdateResult(dict(news))

    def delete(self, _id, props):
        if props["text"] == "held":
            raise RuntimeError("it is held")
        print(f"deleted {props['text']} with {sys.executable}", file=sys.stderr)


class Made(dynamic.Resource, module="tests", name="Made"):
    pass
"""
PROGRAM = """
    import made

    provider = pulumi.ProviderResource("pulumi-python", "provider", {{}})
    made.Made(made.Provider(), "made", {{"text": {text!r}}}, pulumi.ResourceOptions(provider=provider))
"""


def test_a_dynamic_resource_is_created_changed_refreshed_and_deleted_by_the_projects_python(project: Project) -> None:
    (project.folder / "made.py").write_text(MODULE)
    project.run("config", "set", "--secret", "secret", SECRET)
    for text in ("held", "free"):
        project.write(PROGRAM.format(text=text))
        project.up()
        assert project.changes("--refresh") == {}
        assert project.state()["made"]["outputs"]["text"] == text
        if text == "held":
            failed = project.run("destroy", "--yes", "--skip-preview")
            assert failed.code != 0 and "RuntimeError: it is held" in failed.text
    assert not project.state()["provider"].get("inputs"), "the default one has all settings of the stack"
    done = project.run("destroy", "--yes", "--skip-preview")
    assert done.code == 0 and f"deleted free with {sys.prefix}/bin/python" in done.text, done.text
