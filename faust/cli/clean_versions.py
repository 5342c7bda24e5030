"""``faust clean-versions``: delete the data of older versions of the app."""

from __future__ import annotations

import shutil

from faust.cli.base import AppCommand

__all__ = ["clean_versions"]


class clean_versions(AppCommand):
    """Delete the data of older versions of the app.

    Their directories below the data directory are deleted; topics stay as they are.
    """

    abstract = False

    async def run(self) -> None:
        """Delete them, the newest first."""
        for directory in list(self.app.conf.find_old_versiondirs()):
            self.say(f"Removing old version directory {directory}...")
            shutil.rmtree(directory)
