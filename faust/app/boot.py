"""Boot strategies: what of an app is started.

::

    class MyBootStrategy(faust.app.BootStrategy):
        enable_web = False

    class MyApp(faust.App):
        BootStrategy = MyBootStrategy
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from mode.types import ServiceT

__all__ = ["BootStrategy"]


class BootStrategy:
    """Decides what an app starts; override to start less, or more.

    Arguments, which are class attributes, too (``None``: as the class says):
        app: The app.
        enable_web: Start the web server (default: as the setting ``web_enabled`` says)?
        enable_kafka: Connect to the broker?  Without, only the web server, tasks and services run.
        enable_kafka_producer: Send?  Whoever reads also sends: offsets, tables and replies.
        enable_kafka_consumer: Join the group, and run agents?
        enable_sensors: Start the sensors as services (they are told of what happens anyway)?

    Raises:
        ImproperlyConfigured: the consumer without the producer.
    """

    enable_web: bool | None = None
    enable_kafka: bool = True
    enable_kafka_producer: bool | None = None
    enable_kafka_consumer: bool | None = None
    enable_sensors: bool = True

    def __init__(
        self,
        app: Any,
        *,
        enable_web: bool | None = None,
        enable_kafka: bool | None = None,
        enable_kafka_producer: bool | None = None,
        enable_kafka_consumer: bool | None = None,
        enable_sensors: bool | None = None,
    ) -> None:
        self.app = app
        if enable_web is not None:
            self.enable_web = enable_web
        if enable_kafka is not None:
            self.enable_kafka = enable_kafka
        if enable_kafka_producer is not None:
            self.enable_kafka_producer = enable_kafka_producer
        if enable_kafka_consumer is not None:
            self.enable_kafka_consumer = enable_kafka_consumer
        if enable_sensors is not None:
            self.enable_sensors = enable_sensors
        if self.enable_kafka_producer is False and self.consumes:
            raise ImproperlyConfigured(
                f"{type(self).__name__}: enable_kafka_producer=False needs "
                f"enable_kafka_consumer=False: who reads must be able to commit"
            )

    @property
    def connects(self) -> bool:
        """Is there to be a connection to the broker?"""
        return self.enable_kafka and not (
            self.enable_kafka_producer is False and self.enable_kafka_consumer is False
        )

    @property
    def consumes(self) -> bool:
        """Is the group to be joined?"""
        return self.enable_kafka and self.enable_kafka_consumer is not False

    def sensors(self) -> Iterable[ServiceT]:
        """Return the sensors to start; they are started first, and stopped last.

        Left out are those whose own ``__init__`` has not called that of `Service`.
        """
        return [s for s in self.app.sensors if self.enable_sensors and "_started" in vars(s)]

    def web_server(self) -> Iterable[ServiceT]:
        """Return the web server to start: that of ``@app.web_server`` where there is one."""
        wanted = self.app.conf.web_enabled if self.enable_web is None else self.enable_web
        return [self.app.serving] if wanted else []

    def tables(self) -> Iterable[ServiceT]:
        """Return what keeps tables; it is started before the agents."""
        return [self.app.tables]
