"""Reads the selected stack's settings from Pulumi; what they mean is components/settings.py's business."""

import pulumi
from pulumi.runtime import config as runtime_config

from components.settings import Settings, SettingsError, parse_settings, setting_fields


def load_settings() -> Settings:
    """The selected stack's settings. Raises pulumi.RunError with all mistakes, shown without a traceback.

    `pulumi.Config` answers only for keys asked for; unknown ones are mistakes too, so the whole map the engine hands
    over is read. Values arrive decrypted: `admin_password` is to leave the program as `pulumi.Output.secret` only.
    """
    project = pulumi.get_project()
    names = {*runtime_config.CONFIG.get(), *runtime_config.get_config_env()}
    names |= {f"{project}:{key}" for key in setting_fields()}
    found = {name: runtime_config.get_config(name) for name in sorted(names)}
    raw = {name: value for name, value in found.items() if value is not None}
    secret_keys = {name for name in raw if runtime_config.is_config_secret(name)}
    secret_keys |= set(runtime_config.get_config_secret_keys_env())
    try:
        return parse_settings(raw, project, stack=pulumi.get_stack(), secret_keys=secret_keys)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
