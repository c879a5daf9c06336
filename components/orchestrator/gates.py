"""Gates: hold resources back until the containers they need are ready. ADR 1 has the reasons.

The plugin's own `wait` reports no cause and is forgotten by a refresh, so readiness is checked here. `before_create`
is for a resource that is created when others are ready: its failure leaves the resource out of the state, and the next
`up` tries again. `after` is for one that must not even be *deleted* for its replacement before others are ready: hooks
of a replacement run when the old container is already deleted, dependencies are waited for before. `when_ready` is for
what nothing depends on: it is checked in every `up`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pulumi

from components.orchestrator.watcher import NotReady, WaitTarget, Watcher

Check = Callable[[Watcher], Awaitable[None]]


@dataclass(frozen=True)
class Gates:
    """The gates of one program run; `watcher` asks Docker Engine, never in a preview.

    `on_updates`: what is changed in place is held back as what is created.
    """

    watcher: Watcher
    on_updates: bool = False

    def before_create(self, name: str, targets: Sequence[WaitTarget]) -> pulumi.ResourceHookBinding:
        """Return hooks that create a resource once `targets` are ready. `name` is unique within the program."""
        return self.before_create_check(name, lambda watcher: watcher.until_ready(targets))

    def before_create_check(self, name: str, check: Check) -> pulumi.ResourceHookBinding:
        """Return hooks that create a resource once `check` has returned. `name` is unique within the program."""

        async def wait(_: pulumi.ResourceHookArgs) -> None:
            await check(self.watcher)

        hooks: list[pulumi.ResourceHook | pulumi.ResourceHookFunction] = [pulumi.ResourceHook(f"{name}-gate", wait)]
        return pulumi.ResourceHookBinding(before_create=hooks, before_update=hooks if self.on_updates else None)

    def after(self, resource: pulumi.CustomResource, check: Check) -> pulumi.Output[Sequence[pulumi.Resource]]:
        """Return a value for `depends_on`: the resource, once `check` has returned."""
        return self.when_ready([resource], check).apply(lambda _: [resource])

    def when_ready(self, resources: Sequence[pulumi.CustomResource], check: Check) -> pulumi.Output[bool]:
        """Return true once the resources are created and `check` has returned; false in a preview."""
        return self.when_known([resource.id for resource in resources], lambda watcher, _: check(watcher))

    def when_known(
        self, values: Sequence[pulumi.Output[str]], check: Callable[[Watcher, Sequence[str]], Awaitable[None]]
    ) -> pulumi.Output[bool]:
        """Return true once the values are known and `check` has returned, which takes them; false in a preview."""

        async def run(known: Sequence[str]) -> bool:
            if pulumi.runtime.is_dry_run():
                return False
            try:
                await check(self.watcher, known)
            except NotReady as error:
                raise pulumi.RunError(str(error)) from None
            return True

        return pulumi.Output.all(*values).apply(run)
