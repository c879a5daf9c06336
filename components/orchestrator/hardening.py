"""How all containers are hardened, those of the tests too. Without Pulumi, for commands."""

DROPPED_CAPABILITIES = ("ALL",)
SECURITY_OPTIONS = ("no-new-privileges:true",)
