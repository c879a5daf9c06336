"""Holds resources back until what they need is ready.

The plugin's own `wait` notices nothing before its time-out and is forgotten by a refresh, so readiness is looked at
here. `before_create` is for a resource that is made when others are ready: its failure leaves the resource out of the
state, and the next `up` tries again. `after` is for one that must not even be *deleted* for its replacement before
others are ready: hooks of a replacement run when the old one is gone, dependencies before. `settled` is for what
nothing depends on: it is looked at in every `up`.
"""

from collections.abc import Awaitable, Callable, Sequence

import pulumi

from components.engine.watch import Awaited, NotReady, Watcher

Check = Callable[[Watcher], Awaitable[None]]


class Gates:
    """The gates of one program run; `watcher` looks at the engine, which happens in no preview."""

    def __init__(self, watcher: Watcher) -> None:
        """Nothing is looked at before the engine asks for it."""
        self._watcher = watcher

    def before_create(self, name: str, awaited: Sequence[Awaited]) -> pulumi.ResourceHookBinding:
        """Hooks that let a resource be made once `awaited` are ready. `name` is unique within the program."""
        watcher = self._watcher

        async def wait(_: pulumi.ResourceHookArgs) -> None:
            await watcher.until_ready(awaited)

        return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(f"{name}-gate", wait)])

    def after(self, resource: pulumi.CustomResource, check: Check) -> pulumi.Output[Sequence[pulumi.Resource]]:
        """A value for `depends_on`: the resource, once `check` has returned."""
        return self.settled([resource], check).apply(lambda _: [resource])

    def settled(self, resources: Sequence[pulumi.CustomResource], check: Check) -> pulumi.Output[bool]:
        """True once the resources are made and `check` has returned; false in a preview."""
        watcher = self._watcher

        async def run(_: Sequence[str]) -> bool:
            if pulumi.runtime.is_dry_run():
                return False
            try:
                await check(watcher)
            except NotReady as error:
                raise pulumi.RunError(str(error)) from None
            return True

        return pulumi.Output.all(*(resource.id for resource in resources)).apply(run)


def all_ready(awaited: Sequence[Awaited]) -> Check:
    """A check that all of these are ready."""

    async def check(watcher: Watcher) -> None:
        await watcher.until_ready(awaited)

    return check
