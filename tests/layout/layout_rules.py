"""The import table of the design, as data.  To change it is to change the architecture."""

#: Layers from the top down: name -> the modules that belong to it, packages with all below them.
#: Nothing inside imports the face: it is for users.
LAYERS: dict[str, tuple[str, ...]] = {
    "face": ("faust", "faust.types"),
    "shells": (
        "faust.__main__",
        "faust.app",
        "faust.cli",
        "faust.contrib",
        "faust.fixups",
        "faust.livecheck",
        "faust.testing",
        "faust.worker",
    ),
    "engine": ("faust._engine",),
    "services": ("faust.assignor", "faust.router", "faust.web"),
    "vocabulary": (
        "faust._acking",
        "faust._failing",
        "faust._forms",
        "faust._forwarded",
        "faust._inprogress",
        "faust._operators",
        "faust._plain",
        "faust._records",
        "faust._repartition",
        "faust._serialized",
        "faust._succession",
        "faust._takes",
        "faust.agents",
        "faust.channels",
        "faust.conductor",
        "faust.events",
        "faust.joins",
        "faust.streams",
        "faust.tables",
        "faust.topics",
    ),
    "port": ("faust._context", "faust._feeds"),
    "edges": ("faust.stores", "faust.transport"),
    "data": ("faust.models", "faust.sensors", "faust.serializers", "faust.settings"),
    "decisions": ("faust._machines",),
    "ground": (
        "faust._core",
        "faust._values",
        "faust.auth",
        "faust.exceptions",
        "faust.utils",
        "faust.windows",
    ),
}

#: What a layer may import besides itself; a layer that is not here: everything below it.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "services": ("vocabulary", "port", "edges", "data", "decisions", "ground"),
    "port": ("edges", "data", "decisions", "ground"),
    "data": ("ground",),
    "decisions": ("ground",),
    "ground": (),
}

#: Of the edges, the port may name the contracts only.
CONTRACTS = (
    "faust.stores.base",
    "faust.transport.base",
    "faust.transport.membership",
    "faust.transport.producer",
    "faust.transport.reader",
    "faust.transport.records",
)

#: Each third-party library (and sqlite3) -> where it is at home; "": anywhere but in decisions.
HOMES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("faust.web.drivers",),
    "aiomonitor": ("faust._core.inspection",),
    "aiokafka": ("faust.transport.drivers.aiokafka", "faust.transport.records"),
    "click": ("faust.cli",),
    "croniter": ("faust.utils.cron",),
    "django": ("faust.contrib.django",),
    "hypothesis": ("faust.testing",),
    "mode": ("",),
    "msgspec": (
        "faust._engine.deliveries",  # a struct for each record sent: a third of a class's cost
        "faust._machines.metadata",
        "faust.agents",
        "faust.assignor",
        "faust.models",
        "faust.serializers",
        "faust.utils.json",
    ),
    "multidict": ("faust.web.drivers",),
    "prometheus_client": ("faust.sensors.prometheus",),
    "pytest": ("faust.testing",),
    "rich": ("faust.cli", "faust.utils.terminal", "faust.worker"),
    "rocksdict": ("faust.stores.library",),
    "setproctitle": ("faust._core.inspection",),
    "sqlite3": ("faust.transport.drivers.sqlite",),
    "uvloop": ("faust._core.loops",),
    "venusian": ("faust.utils.venusian",),
    "yarl": ("",),
}

#: The same, for imports inside of functions: homes in which a library is paid for only when used.
LAZY_HOMES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("faust.app",),
    "rocksdict": ("faust.stores.library",),
    "uvicorn": ("faust.contrib.asgi_server",),
}

#: Imported when it is used, not when its home is: `import faust` and an app's module stay light.
ALWAYS_LAZY = ("rocksdict",)

#: Decisions have no clock, no loop, no log and no other thread.
NOT_IN_DECISIONS = ("asyncio", "concurrent", "logging", "random", "threading", "time")

MAX_LINES = 600
