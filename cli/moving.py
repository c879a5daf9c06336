"""The move of uploaded files and apps from where the cores have them to the `fileStore` that is set, with rclone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.deployed import REPORTED, DeployedStack
from cli.errors import FAILED, CommandError
from cli.exchange import Exchange
from cli.output import progress
from cli.parts import Part
from components.dhis2.release import Release
from components.orchestrator.container_paths import SECRETS
from components.orchestrator.nfs import nfs_options, nfs_volume_name
from components.orchestrator.short_lived import ShortLived
from components.settings.file_store import AWS_REGION, Bucket, NfsExport
from components.templates.escaping import property_text
from tools.naming import naming

UID = 65534  # the user of the cores, whose files it reads and writes
CONFIGURATION = f"{SECRETS}/rclone.conf"
MEMORY_MB = 512
SOURCE = "/source"
# Every image has it, open to all, and a new volume takes its mode over.
DESTINATION = "/var/tmp"  # noqa: S108 - in the container
# What a restore of a backup has beside the files for a moment.
EXCLUDED = ("--exclude", "/.unpacked/**", "--exclude", "/.before/**")


@dataclass(frozen=True, kw_only=True)
class Store:
    """Files in a volume by its name, with the options of Docker's local driver, or in a bucket with its keys."""

    name: str
    volume: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    bucket: Bucket | None = None
    access_key: str = ""
    secret_key: str = ""

    def same_place(self, other: "Store") -> bool:
        """Return whether the files are in the same volume or bucket."""
        ours, theirs = (store.bucket and (store.bucket.name, store.bucket.server) for store in (self, other))
        return (self.volume, ours) == (other.volume, theirs)

    def path(self, remote: str, folder: str) -> str:
        """Return what rclone calls it."""
        return f"{remote}:{self.bucket.name}" if self.bucket else folder

    def configuration(self, remote: str) -> str:
        """Return what rclone has to know of it."""
        if not self.bucket:
            return ""
        lines = {
            "type": "s3",
            "provider": "Other" if self.bucket.endpoint else "AWS",
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "endpoint": self.bucket.endpoint,
            "region": self.bucket.region,
            "location_constraint": "" if self.bucket.region == AWS_REGION else self.bucket.region,
        }
        return f"[{remote}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


@dataclass(frozen=True)
class Move:
    """The move of the files of a stack."""

    containers: DeployedStack
    source: Store
    destination: Store

    def run(self) -> None:
        """Copy and check while the cores run, again what came since while none does, and deploy the `fileStore`.

        Raises CommandError with what failed; nothing is removed from the source.
        """
        target = self.containers.target
        self._pull()
        progress(f"copying the files from {self.source.name} to {self.destination.name}")
        self._rclone("copy", "--checksum")
        progress("comparing the checksums of both")
        self._rclone("check", "--one-way")
        exchange = Exchange(self.containers)
        progress("stopping the cores")
        self.containers.map(self.containers.stop, _cores(self.containers))
        try:
            progress("copying what was uploaded meanwhile")
            self._rclone("copy")
            self._rclone("check", "--one-way", "--size-only")
        except CommandError:
            exchange.start_cores()
            raise
        progress("deploying the fileStore")
        failure = target.up()
        if failure:
            raise CommandError(
                f"the files are in {self.destination.name}, but no core runs: {failure}. Fix it, then: pulumi up -s {target.stack}",
                FAILED,
            )

    def _rclone(self, verb: str, *options: str) -> None:
        target = self.containers.target
        names = naming(target.stack)
        stores = {SOURCE: self.source, DESTINATION: self.destination}
        paths = [self.source.path("source", SOURCE), self.destination.path("destination", DESTINATION)]
        configuration = self.source.configuration("source") + self.destination.configuration("destination")
        spec = ShortLived(
            name=names.of("move-files"),
            image=target.settings.copy_image,
            uid=UID,
            command=("rclone", verb, *paths, *options, *EXCLUDED, "--stats=10s", "--stats-one-line", "-v"),
            memory_mb=MEMORY_MB,
            network=names.of("app"),
            mounts={path: store.volume for path, store in stores.items() if store.volume},
            volume_options={store.volume: store.options for store in stores.values() if store.options},
            no_copy="-nfs-" in self.destination.volume,
            environment={"RCLONE_CONFIG": CONFIGURATION, "HOME": "/tmp"},  # noqa: S108 - in the container
            secrets={CONFIGURATION: configuration or "# no bucket\n"},
            timeout_seconds=None,
        )
        progress(f"  what rclone reports: {self.containers.short_lived_log_command(spec)}")
        code, output = self.containers.run_short_lived(spec, beside=_cores(self.containers)[0])
        if code:
            lines = [line for line in output.splitlines() if "ERROR" in line or "Failed" in line or "error" in line]
            reason = "; ".join((lines or output.splitlines() or ["it printed nothing"])[-3:])
            raise CommandError(f"the files could not be moved, rclone {verb} failed: {reason}", FAILED)

    def _pull(self) -> None:
        image = self.containers.target.settings.copy_image
        try:
            self.containers.pull(image)
        except REPORTED as error:
            raise CommandError(
                f"{image} is not on the Docker host, and cannot be pulled: {error}. Nothing was changed. Choose another image with rclone: pulumi config set copyImage … -s {self.containers.target.stack}"
            ) from error


def deployed_store(containers: DeployedStack) -> Store:
    """Return where the cores have their files. Raises CommandError where no core tells."""
    core = _cores(containers)[0]
    conf = containers.read_file(core, f"{Release.home}/dhis.conf") or ""
    entries = dict(line.partition(" = ")[::2] for line in conf.splitlines() if line.startswith("filestore."))
    values = {key.removeprefix("filestore."): property_text(value) for key, value in entries.items()}
    if values.get("provider") in ("s3", "aws-s3"):
        region = values["location"].replace("us-standard", AWS_REGION)
        bucket = Bucket(values["container"], values.get("endpoint", ""), region)
        return Store(name=str(bucket), bucket=bucket, access_key=values["identity"], secret_key=values["secret"])
    volume, options = containers.volume_at(core, f"{Release.home}/files")
    if values.get("provider") != "filesystem" or not volume:
        raise CommandError(
            f"{core.part} does not tell where it has its files. Deploy it again: pulumi up -s {containers.target.stack}"
        )
    return Store(name=f"the volume {volume}", volume=volume, options=options)


def wanted_store(containers: DeployedStack) -> Store:
    """Return where the setting `fileStore` wants the files; the volume of an NFS export is created."""
    target = containers.target
    names, place = naming(target.stack), target.settings.files_place
    if isinstance(place, Bucket):
        access_key, secret_key = target.secret("fileStoreAccessKey"), target.secret("fileStoreSecretKey")
        return Store(name=str(place), bucket=place, access_key=access_key, secret_key=secret_key)
    if isinstance(place, NfsExport):
        volume, options = nfs_volume_name("files", place, names), nfs_options(place)
        containers.create_volume(volume, options, names.object_labels())
        return Store(name=str(place), volume=volume, options=options)
    volume = names.of("files")
    return Store(name=f"the volume {volume}", volume=volume)


def _cores(containers: DeployedStack) -> list[Part]:
    return containers.select(["core"])
