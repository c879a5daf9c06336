"""Apps of the setting `apps`: installed into DHIS2 by its API at the end of `up`."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pulumi
import requests

from components.database.api import REQUEST_SECONDS, Api
from components.database.passwords import AdminPassword
from components.dhis2.apps import AppEntry, AppError, app_key, choose_version, parse_entry, read_zip, setting_of
from components.dhis2.release import Release
from components.naming import Naming
from components.orchestrator.interface import Endpoint
from components.orchestrator.watcher import NotReady, Watcher, in_thread
from components.settings.model import Settings

# In the file store, which has the apps: it is backed up, restored and lost with them.
RECORD = f"{Release.home}/files/.dhis2-cluster-apps"
CORE_UID = 65534  # the files of the cores belong to it
UPLOAD, DATABASE_UID = "/var/lib/postgresql/app-upload", 999  # in the primary, which sends it
INSTALL_SECONDS = 600  # DHIS2 downloads and unpacks the app meanwhile


async def install_apps(
    watcher: Watcher,
    naming: Naming,
    cores: Sequence[Endpoint],
    admin: AdminPassword | None,
    *,
    settings: Settings,
    release: Release,
) -> None:
    """Install the apps of the settings that DHIS2 does not have. `admin` is the password that the user admin has.

    Whatever fails is a warning: the cluster serves.
    """
    if settings.apps and admin is None:
        pulumi.log.warn(
            "the apps of the setting apps are not installed: the program does not know the password of DHIS2's user admin. To set one: pulumi config set --secret adminPassword. To install them in DHIS2: App Management"
        )
    elif settings.apps and admin is not None:
        api = Api(watcher, naming.of("primary"), admin)
        await _Apps(watcher=watcher, naming=naming, cores=cores, api=api, release=release).install(settings.apps)


@dataclass(kw_only=True)
class _Apps:
    """The apps of a DHIS2, whose first core is asked.

    `_installed` has what DHIS2 lists, by key. `_recorded` has what entries were installed as: `app` is a key, `version`
    the one DHIS2 lists, `wanted` what was asked for. `_stale` names cores that have not read the file store since.
    """

    watcher: Watcher
    naming: Naming
    cores: Sequence[Endpoint]
    api: Api
    release: Release
    _installed: dict[str, Mapping[str, Any]] = field(default_factory=dict, init=False)
    _recorded: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _stale: list[str] = field(default_factory=list, init=False)
    _entries: dict[str, str] = field(default_factory=dict, init=False)
    _unreachable: str = field(default="", init=False)

    async def install(self, entries: Sequence[str]) -> None:
        """Install what DHIS2 does not have, and have all cores serve it."""
        try:
            self._installed = await self._list()
            await self._read_record()
        except (AppError, NotReady) as error:
            pulumi.log.warn(
                f"the apps of the setting apps could not be compared with those of DHIS2: {error}. The next pulumi up tries again"
            )
            return
        for index, text in enumerate(entries):
            entry = parse_entry(text)
            try:
                await (self._from_hub(entry, entry.hub_id) if entry.hub_id else self._from_zip(entry))
            except (AppError, NotReady) as error:
                others = setting_of([*entries[:index], *entries[index + 1 :]])
                leave = f"set apps '{others}'" if others else "rm apps" if len(entries) == 1 else "set --secret apps"
                pulumi.log.warn(
                    f"the app {entry.name} of the setting apps was not installed: {error}. The next pulumi up tries again. To leave it out: pulumi config {leave}"
                )
        await self._reload()

    async def _from_hub(self, entry: AppEntry, hub_id: str) -> None:
        known, key = self._recorded.get(hub_id), self._key_of(hub_id)
        if key:
            self._take(key, entry)
            # The App Hub may call a version otherwise than its manifest.
            if known and known["wanted"] == entry.version and self._has(key, known["version"]):
                return
            # DHIS2 lists the apps it brings along, too, in the version of its release.
            if self._has(key, entry.version) and (entry.version or known or not self._installed[key].get("bundled")):
                return
        app = await self._in_hub(hub_id)
        version = choose_version(app.get("versions") or [], entry.version, self.release.number)
        before = self._installed
        answer = await self._post(f"/api/appHub/{version.get('id')}")
        changed = [key for key, now in self._installed.items() if before.get(key) != now]
        # DHIS2 names the app in its answer from 2.42 on; a manifest need not have the id.
        candidates = [answer.get("key"), self._key_of(hub_id), *changed, app_key(str(app.get("name")))]
        key = next((str(key) for key in candidates if key in self._installed), "")
        await self._installed_as(key, hub_id, entry, str(version.get("version")))

    async def _from_zip(self, entry: AppEntry) -> None:
        recorded_as = hashlib.sha256((entry.url or "").encode()).hexdigest()
        known = self._recorded.get(recorded_as) if entry.url else None
        if known and self._has(known["app"], known["version"]):
            self._take(known["app"], entry)
            return
        app = read_zip(await in_thread(partial(_content, entry)))
        self._take(app.key, entry)
        if entry.path:
            recorded_as = f"file of {app.key}"
            known = self._recorded.get(recorded_as)
        # An app that a person has installed in this version stays.
        if self._has(app.key, app.version) and (known is None or known["wanted"] == app.digest):
            await self._remember(recorded_as, app.key, app.digest)
            return
        boundary = f"dhis2-cluster-{app.digest}"
        # Up to 2.42 the app's folder has the name of the file: one of its own for each app and version.
        name = re.sub(r"[^A-Za-z0-9.-]", "-", f"{app.key}-{app.version}.zip")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/zip\r\n\r\n'
        body = b"".join((head.encode(), app.content, f"\r\n--{boundary}--\r\n".encode()))
        primary = self.naming.of("primary")
        await self.watcher.write_file(primary, UPLOAD, body, DATABASE_UID)
        await self._post("/api/apps", UPLOAD, f"multipart/form-data; boundary={boundary}")
        await self._installed_as(app.key if self._has(app.key, app.version) else "", recorded_as, entry, app.digest)

    async def _in_hub(self, hub_id: str) -> Mapping[str, Any]:
        """Return what the App Hub has of an app, with its versions. `apphub.api.url` of DHIS2 has its address."""
        if not self._unreachable:  # each request would wait for its end
            answer = await self.api.request(self.cores[0], "GET", f"/api/appHub/v1/apps/{hub_id}")
            if answer.status == requests.codes.not_found:
                raise AppError("the App Hub has no app with this id; the id is in the address of its page there")
            if answer.status == requests.codes.ok and isinstance(answer.content, dict):
                return answer.content
            self._unreachable = f"DHIS2 has no answer from the App Hub: {answer.reason}"
        raise AppError(self._unreachable)

    async def _post(self, path: str, *body: str) -> Mapping[str, Any]:
        """Have the first core install an app, and list what it has then. Raises AppError with the reason of DHIS2."""
        answer = await self.api.request(self.cores[0], "POST", path, *body, seconds=INSTALL_SECONDS)
        if answer.status not in (requests.codes.ok, requests.codes.created, requests.codes.no_content):
            raise AppError(f"DHIS2 refuses it: {answer.reason}")
        self._stale = [core.host for core in self.cores[1:]]
        self._installed = await self._list()
        return answer.content if isinstance(answer.content, dict) else {}

    async def _installed_as(self, key: str, recorded_as: str, entry: AppEntry, wanted: str) -> None:
        if not key:
            raise AppError("DHIS2 has accepted it, and does not list it")
        await self._remember(recorded_as, key, wanted)
        pulumi.log.info(f"the app {key} {self._installed[key].get('version')} is installed in DHIS2, from {entry.name}")
        self._take(key, entry)

    async def _reload(self) -> None:
        """Have the other cores read the file store.

        They list an app at once, because the list is in Redis; what it reserves in the data store each core knows for
        itself.
        """
        for core in [core for core in self.cores[1:] if core.host in self._stale]:
            try:
                answer = await self.api.request(core, "PUT", "/api/apps", seconds=INSTALL_SECONDS)
                if answer.status != requests.codes.no_content:
                    raise AppError(answer.reason)
                self._stale.remove(core.host)
                await self._write_record()
            except (AppError, NotReady) as error:
                pulumi.log.warn(
                    f"{core.host} has not read the apps that were installed: {error}. The next pulumi up tries again. Or restart it: dhis2-cluster restart {core.host} -s {self.naming.stack}"
                )

    def _take(self, key: str, entry: AppEntry) -> None:
        other = self._entries.setdefault(key, entry.name)
        if other != entry.name:
            raise AppError(f"it is the app {key}, which {other} of the setting is, too")

    def _has(self, key: str, version: str | None) -> bool:
        return key in self._installed and version in (None, self._installed[key].get("version"))

    def _key_of(self, hub_id: str) -> str | None:
        known = self._recorded.get(hub_id, {}).get("app")
        listed = (key for key, app in self._installed.items() if app.get("app_hub_id") == hub_id)
        return known if known in self._installed else next(listed, None)

    async def _list(self) -> dict[str, Mapping[str, Any]]:
        answer = await self.api.request(self.cores[0], "GET", "/api/apps")
        if answer.status != requests.codes.ok or not isinstance(answer.content, list):
            raise AppError(answer.reason)
        return {str(app.get("key")): app for app in answer.content}

    async def _read_record(self) -> None:
        core = self.naming.of(self.cores[0].host)
        text = await self.watcher.read_file(core, RECORD)
        try:
            record = json.loads(text or "{}")
        except ValueError:  # apps are installed again
            record = {}
        self._recorded, self._stale = record.get("apps", {}), record.get("stale", [])

    async def _remember(self, recorded_as: str, key: str, wanted: str) -> None:
        entry = {"app": key, "version": str(self._installed[key].get("version")), "wanted": wanted}
        if self._recorded.get(recorded_as) != entry:
            self._recorded[recorded_as] = entry
            await self._write_record()

    async def _write_record(self) -> None:
        core, text = self.naming.of(self.cores[0].host), json.dumps({"apps": self._recorded, "stale": self._stale})
        await self.watcher.write_file(core, RECORD, text, CORE_UID)


def _content(entry: AppEntry) -> bytes:
    """Return the zip file of an entry. Raises AppError, which names no login."""
    try:
        if entry.path:
            return entry.path.read_bytes()
        response = requests.get(entry.url or "", timeout=REQUEST_SECONDS)
    except requests.RequestException as error:
        raise AppError(f"it cannot be downloaded: {type(error).__name__}") from None
    except OSError as error:
        raise AppError(f"it cannot be read: {error.strerror}") from None
    if response.status_code != requests.codes.ok:
        raise AppError(f"it cannot be downloaded: the server answers {response.status_code}")
    return response.content
