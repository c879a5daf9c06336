"""FileStore: where DHIS2 has uploaded files and apps, the stack's volume, an NFS export or a bucket of S3."""

from collections.abc import Sequence

import pulumi

from components.dhis2.release import Release
from components.orchestrator.container_paths import FILES, SECRETS
from components.orchestrator.container_spec import Mount
from components.orchestrator.nfs import nfs_options
from components.orchestrator.short_lived import ShortLived
from components.orchestrator.watcher import NotReady, Watcher
from components.settings.file_store import AWS_REGION, Bucket, NfsExport
from components.stack_context import StackContext
from components.templates.rendering import render

UID = 65534  # the user of DHIS2's images, to whom all files belong
TRIAL_FOLDER = "/files"
TRIAL_MEMORY_MB = 64
TRIAL_SECONDS = 120  # more than curl may take for all requests
OLD_FOLDER = "/volume"  # the stack's volume
# It prints EMPTY where the cores would not find the files they have had so far.
EMPTY = "no files are there"
TRY_FOLDER = f"""\
file=$(mktemp {TRIAL_FOLDER}/.trial.XXXXXX) && echo trial >$file && rm $file || exit 1
[ -n "$(ls -A {TRIAL_FOLDER})" ] || [ -z "$(ls -A {OLD_FOLDER} 2>/dev/null)" ] || echo {EMPTY}
"""
CURL = f"{SECRETS}/curl"
KEY_SETTINGS = "pulumi config set --secret fileStoreAccessKey, pulumi config set --secret fileStoreSecretKey"


class FileStore:
    """What the setting `fileStore` makes: mounts and keys of the cores, and a trial in each `up`.

    `tried` is true once the trial has succeeded, None where nothing has to be tried. The stack's volume is there with
    every setting, so that another one removes no files.
    """

    tried: pulumi.Output[bool] | None = None

    def __init__(self, context: StackContext, release: Release, parent: pulumi.Resource) -> None:
        """Register the volume of an export, and try export or bucket."""
        self._context, self._release = context, release
        self._place = context.settings.files_place
        self._volume: pulumi.Output[str] | None = None
        self._export: pulumi.Output[str] | None = None
        if isinstance(self._place, NfsExport):
            self._export = context.orchestrator.nfs_volume("files", self._place, parent)
        if self._place is not None:
            self.tried = self._try()

    def register_volume(self, parent: pulumi.Resource) -> None:
        """Register the stack's volume."""
        self._volume = self._context.orchestrator.volume("files", parent)

    @property
    def bucket(self) -> Bucket | None:
        """The bucket that files are in; None where they are in a volume."""
        return self._place if isinstance(self._place, Bucket) else None

    @property
    def bucket_location(self) -> str:
        """The region of the bucket as the release writes it; empty without a bucket."""
        bucket = self.bucket
        return self._release.s3_location(bucket.region, aws=not bucket.endpoint) if bucket else ""

    @property
    def keys(self) -> dict[str, pulumi.Output[str]]:
        """The secrets of dhis.conf, by their names in the template; none without a bucket."""
        return {name: pulumi.Output.secret(key) for name, key in self._plain_keys().items()}

    def mounts(self, path: str, *, is_core: bool = True) -> tuple[Mount, ...]:
        """Return the mounts of the files at a path of a container; none where they are in a bucket."""
        if self.bucket:
            return ()
        if self._export is not None:
            # Docker would copy as root, which is nobody on most servers. The id of a volume is its name.
            return (Mount(volume=self._export, path=path, no_copy=True),)
        name = self._volume if self._volume is not None else self._context.naming.of("files")
        # The same volume at a second path, where every image has a folder open to all: a new volume gets its mode.
        # The folder of the first path is in no image, and would be owned by root.
        paths = (path, "/var/tmp") if is_core else (path,)  # noqa: S108
        return tuple(Mount(volume=name, path=each) for each in paths)

    def once_tried(self, resources: Sequence[pulumi.Resource]) -> pulumi.Input[Sequence[pulumi.Input[pulumi.Resource]]]:
        """Return a value for `depends_on`: the resources, once the file store was tried.

        So the Pulumi engine neither creates, replaces nor deletes what depends on it before, and not where that fails.
        """
        return list(resources) if self.tried is None else self.tried.apply(lambda _: list(resources))

    def _try(self) -> pulumi.Output[bool]:
        images, old = self._context.images, self._context.naming.of("files")
        # The load balancer's has curl, which signs requests for S3.
        values = [(images.load_balancer if self.bucket else images.core).id, self._context.networks.app]
        if self._export is not None:
            values.append(self._export)

        async def try_it(watcher: Watcher, known: Sequence[str]) -> None:
            has_old = await watcher.volume_exists(old)
            spec = self._trial(*known, mounts={OLD_FOLDER: old} if has_old else {})
            code, output = await watcher.run_short_lived(spec)
            if code:
                raise NotReady(self._failure(output))
            if EMPTY in output:
                pulumi.log.warn(
                    f"{self._place} has no files, and the volume {old} has: DHIS2 does not find these any more. To have them: pulumi config set fileStore volume && pulumi up, then set fileStore again and run dhis2-cluster move-files"
                )

        return self._context.gates.when_known(values, try_it)

    def _trial(self, image: str, network: str, export: str = "", *, mounts: dict[str, str]) -> ShortLived:
        """Return what a core does with its files: it writes and removes one; a bucket it creates before."""
        name, secrets = self._context.naming.of("files-trial"), self._plain_keys()
        bucket = self.bucket
        if bucket is None:
            return ShortLived(
                name=name,
                image=image,
                uid=UID,
                memory_mb=TRIAL_MEMORY_MB,
                command=("/bin/sh", "-c", TRY_FOLDER),
                mounts={TRIAL_FOLDER: export, **mounts},
                volume_options={export: nfs_options(self._place)} if isinstance(self._place, NfsExport) else {},
                no_copy=True,
            )
        return ShortLived(
            name=name,
            image=image,
            uid=UID,
            memory_mb=TRIAL_MEMORY_MB,
            command=("/bin/sh", f"{FILES}/try-bucket.sh"),
            network=network,
            mounts=mounts,
            no_copy=True,
            environment={
                "BUCKET_URL": f"{bucket.server}/{bucket.name}",
                "BUCKET": bucket.name,
                "OLD_FOLDER": OLD_FOLDER,
                "EMPTY": EMPTY,
                "LOCATION": "" if bucket.region == AWS_REGION else bucket.region,
            },
            secrets={
                CURL: f'user = "{_quoted(secrets["file_store_access_key"])}:{_quoted(secrets["file_store_secret_key"])}"\n'
                f'aws-sigv4 = "aws:amz:{bucket.region}:s3"\n',
                f"{FILES}/try-bucket.sh": render("file_store/try-bucket.sh"),
            },
            timeout_seconds=TRIAL_SECONDS,
        )

    def _failure(self, reason: str) -> str:
        place = self._place
        if isinstance(place, NfsExport):
            return f"the NFS export {place.path} of {place.server} cannot be used as fileStore: {reason}. No core was changed. Check that the Docker host reaches {place.server} at port 2049, that the server exports {place.path} over NFS 4 to the Docker host, and that user {UID} may write there: chown -R {UID}:{UID} {place.path} on the server. Another place: pulumi config set fileStore …"
        return f"{place} cannot be used as fileStore: {reason}. No core was changed. Set what is wrong and try again: pulumi config set fileStore …, {KEY_SETTINGS}, then: pulumi up"

    def _plain_keys(self) -> dict[str, str]:
        settings = self._context.settings
        if not (self.bucket and settings.file_store_access_key and settings.file_store_secret_key):
            return {}
        return {
            "file_store_access_key": settings.file_store_access_key.get_secret_value(),
            "file_store_secret_key": settings.file_store_secret_key.get_secret_value(),
        }


def _quoted(text: str) -> str:
    """Return text for a quoted value of curl's configuration."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
