"""Why something of the interface of earlier versions is not here, or not as it was.

Pattern of what `api_signatures.differences` says (``*`` stands for anything) -> the reason.
"""

_LATER = "comes in a later version, as the changelog says"
_TRANSPORT = "transports are drivers of another port here: faust/transport/base.py is its contract"
_STORES = "stores hold bytes of a task here: faust/stores/base.py is their contract"
_INSIDE = "was the inside of how tables and streams were kept; another way of keeping them is used"
_ENCODING = "a message is encoded, put into a batch and decoded by schemas and codecs: change those"
_PAGE = "web pages and the log show it"

DIFFERENCES: dict[str, str] = {
    # -- comes later
    "faust.livecheck.*": _LATER,
    "faust.cli.livecheck.*": _LATER,
    "*.LiveCheck(): missing": _LATER,
    "faust.joins.*": _LATER,
    "faust.types.joins.*": _LATER,
    "faust.types.streams.JoinableT: missing": _LATER,
    "faust.*.*join(): missing": _LATER,
    "faust.*.combine(): missing": _LATER,
    "faust.*.__and__(): missing": _LATER,
    "faust.sensors.datadog.*": _LATER,
    "faust.sensors.statsd.*": _LATER,
    "faust.sensors.otel.*": _LATER,
    "faust.contrib.opentelemetry.*": _LATER,
    "faust.contrib.sentry.*": _LATER,
    "faust.app.base.App.trace(): missing": _LATER,
    "faust.stores.aerospike.*": _LATER,
    "faust.web.blueprints.*": _LATER,
    "faust.web.cache.*": _LATER,
    "faust.types.web.*": _LATER,
    "faust.app.base.App.cache: missing": _LATER,
    "*ransaction*: missing": "each worker has one transactional producer, and no managers of them",
    # -- other ports
    "faust.transport.*": _TRANSPORT,
    "faust.types.transports.*": _TRANSPORT,
    "faust.types.*T: not at this path": _TRANSPORT,
    "faust.*.transport: missing": _TRANSPORT,
    "faust.stores.*": _STORES,
    "faust.types.stores.*": _STORES,
    "faust.sensors.prometheus.*": "is switched on by installing the extra `prometheus`",
    "faust.sensors.metrics.*": _PAGE,
    "faust.web.base.Web.wsgi(): missing": "never did anything",
    "faust.app.base.App.service(): service must be given": "it was needed before, too",
    "faust.types.app.AppT.service(): service must be given": "it was needed before, too",
    "faust.contrib.asgi.LoopMismatch: missing": "apps run in any event loop",
    "faust.contrib.asgi.bind_to_running_loop: missing": "apps run in any event loop: nothing has "
    "to be bound",
    "faust.types.app.BootStrategyT.__init__(): *": "None means what the class says: the same",
    "faust.types.app.BootStrategyT.*(): missing": "flags say which of the three it is",
    "faust.types.assignor.LeaderAssignorT: missing": "the class itself is the type",
    "faust.types.sensors.SensorDelegateT: missing": "the class itself is the type",
    "faust.types.settings.*": "settings are defined otherwise; tests/unit/settings compares each",
    "faust.__contact__: missing": "is in the metadata of the package",
    "faust.*T: not at this path": "all types are at faust.types",
    "faust.worker.Worker.__init__(): console_port is None by default, not 50101": "no console "
    "unless it is asked for",
    # -- commands
    "faust.cli.base.Command.carp()*": "the parameter has a name, and is given by position",
    "faust.cli.base.Command.say()*": "as False as None was",
    "faust.cli.*.run(): *": "commands are started by the program, not called",
    "faust.cli.model*(): missing": "was the inside of the command",
    # -- agents and their replies
    "faust.*.Agent.__init__(): use_reply_headers is True*": "as @app.agent always had it",
    "faust.*.AgentTestWrapper*: missing": "what test_context() returns is in faust.testing",
    "faust.types.agents.A*": "instances of agents are the worker's",
    "faust.*.__post_init__(): missing": "was called by its own class only",
    # -- channels, topics, events
    "faust.channels.Channel.queue: missing": "readers have queues, each one of its own",
    "faust.channels.Channel.__anext__(): missing": "is iterated by `async for`, or read with get()",
    "faust.channels.Channel.decode(): missing": _ENCODING,
    "faust.channels.Channel.as_future_message(): missing": _ENCODING,
    "faust.channels.Channel.prepare_*(): missing": _ENCODING,
    "faust.channels.Channel.publish_message(): missing": _ENCODING,
    "faust.channels.SerializedChannel: missing": _ENCODING,
    "faust.types.channels.*": "see faust.channels",
    "faust.topics.Topic.put(): *": "the value is named as in send()",
    "faust.topics.Topic.publish_message(): missing": _ENCODING,
    "faust.types.topics.*": "None means the setting; False is that by default",
    "faust.types.events.EventT.*(): * is <object object*": "the event's own, as it was",
    "faust.events.Event.__aexit__(): *": "is called by `async with`, by position",
    "faust.types.tuples.Message*": "made by the library, for each record that asks for one; what "
    "it never read itself is not kept",
    "faust.*.Registry*.__init__(): key_serializer is 'json'*": "what None meant",
    "faust.serializers.codecs.pickle_fickling: missing": "a scan does not make pickles safe",
    # -- streams and tables
    "faust.streams.Stream.__copy__(): missing": "clone() is what copies",
    "faust.streams.Stream.__next__(): missing": "only raised: streams are asynchronous",
    "faust.types.streams.StreamT.*": _INSIDE,
    "faust.tables.*.__init__(): recover_callbacks is ()*": "as empty as None was",
    "faust.tables.base.Collection.__copy__(): missing": _INSIDE,
    "faust.tables.*._new_store(): missing": _INSIDE,
    "faust.tables.base.Collection.send_changelog(): missing": _INSIDE,
    "faust.tables.objects.ChangeloggedObjectManager.on_*(): missing": _INSIDE,
    "faust.tables.sets.ChangeloggedSet.*": _INSIDE,
    "faust.tables.sets.SetTableManager._clear(): missing": _INSIDE,
    "faust.types.tables.*": _INSIDE,
}
