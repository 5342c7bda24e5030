"""Codecs: named, stackable functions between objects and bytes.

A codec is asked to ``dumps`` and ``loads``; it implements ``_dumps`` and ``_loads`` for itself
alone.  ``json() | gzip()``, or the name ``"json|gzip"``, encodes from left to right and decodes
from right to left.  Names come from this module, from `register`, and from installed packages
through the entry-point group ``faust.codecs``.
"""

from __future__ import annotations

import difflib
import gzip as _gzip
import importlib
import importlib.util
import pickle as _pickle
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import reduce
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from faust._values.modelproto import CodecArg, CodecProto
from faust.exceptions import ImproperlyConfigured, SecurityWarning
from faust.utils import json as _json

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "Codec",
    "CodecArg",
    "RestrictedUnpickler",
    "UnknownCodec",
    "binary",
    "codecs",
    "dumps",
    "get_codec",
    "gzip",
    "json",
    "loads",
    "pickle",
    "pickle_restricted",
    "raw",
    "register",
    "yaml",
]

#: Entry-point group in which packages announce codecs: a `Codec` subclass, instance or factory.
ENTRY_POINT_GROUP = "faust.codecs"


class UnknownCodec(ImproperlyConfigured, KeyError):
    """No codec has this name."""

    def __str__(self) -> str:
        return str(self.args[0])


class Codec:
    """Base of codecs; subclasses define `_dumps` and `_loads`.

    Arguments:
        children: Codecs that what this one encodes goes on to, in order.
        kwargs: Kept in ``kwargs``, and given again to every clone.
    """

    children: tuple[CodecProto, ...]
    nodes: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __init__(self, children: tuple[CodecProto, ...] | None = None, **kwargs: Any) -> None:
        self.children = tuple(children or ())
        self.nodes = (self, *self.children)
        self.kwargs = kwargs

    def _loads(self, s: bytes) -> Any:
        """Decode, for this codec alone; a codec that does not override this passes it through."""
        return s

    def _dumps(self, s: Any) -> bytes:
        """Encode, for this codec alone; a codec that does not override this passes it through."""
        return cast(bytes, s)

    def dumps(self, obj: Any) -> bytes:
        """Encode with this codec, then with its children in order."""
        for node in self.nodes:
            obj = node._dumps(obj)
        return cast(bytes, obj)

    def loads(self, s: bytes) -> Any:
        """Decode with the children, last one first, then with this codec."""
        for node in reversed(self.nodes):
            s = node._loads(s)
        return s

    def clone(self, *children: CodecProto) -> Codec:
        """Return a copy that has these children too."""
        return type(self)(children=self.children + children, **self.kwargs)

    def __or__(self, other: Any) -> Codec:
        if isinstance(other, Codec):
            return self.clone(*other.nodes)
        return NotImplemented

    def __repr__(self) -> str:
        return " | ".join(node._describe() for node in self.nodes)

    def _describe(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.kwargs.items())
        return f"{type(self).__name__}({arguments})"


class json(Codec):
    """JSON; what it does with types beyond JSON's own is said in `faust.utils.json`."""

    def _loads(self, s: bytes) -> Any:
        return _json.loads(s)

    def _dumps(self, s: Any) -> bytes:
        return _json.dumps(s)


class raw(Codec):
    """Bytes as they are; text as UTF-8."""

    def _dumps(self, s: Any) -> bytes:
        if isinstance(s, str):
            return s.encode()
        if isinstance(s, bytes):
            return s
        if isinstance(s, bytearray | memoryview):
            return bytes(s)
        raise TypeError(f"the raw codec takes bytes or text, not {type(s).__name__}: {s!r}")


class binary(Codec):
    """Base64 (the standard alphabet)."""

    def _loads(self, s: bytes) -> bytes:
        return b64decode(s)

    def _dumps(self, s: Any) -> bytes:
        return b64encode(s.encode() if isinstance(s, str) else s)


class gzip(Codec):
    """Gzip: put it behind a codec that gives bytes, as in ``json|gzip``.

    Arguments:
        compresslevel: From 1 (fast) to 9 (small); 6 if not given.
    """

    def _loads(self, s: bytes) -> bytes:
        return _gzip.decompress(s)

    def _dumps(self, s: Any) -> bytes:
        # mtime=0: equal values give equal bytes.
        return _gzip.compress(s, self.kwargs.get("compresslevel", 6), mtime=0)


class yaml(Codec):
    """YAML (safe types only); needs PyYAML."""

    def __init__(self, children: tuple[CodecProto, ...] | None = None, **kwargs: Any) -> None:
        super().__init__(children, **kwargs)
        if importlib.util.find_spec("yaml") is None:
            raise ImproperlyConfigured("the yaml codec needs PyYAML: pip install PyYAML")
        self._yaml: Any = importlib.import_module("yaml")

    def _loads(self, s: bytes) -> Any:
        return self._yaml.safe_load(s)

    def _dumps(self, s: Any) -> bytes:
        text = self._yaml.safe_dump(_json.loads(_json.dumps(s)), allow_unicode=True)
        return cast(bytes, text.encode())


class _raw_pickle(Codec):
    def _loads(self, s: bytes) -> Any:
        return _pickle.loads(s)

    def _dumps(self, s: Any) -> bytes:
        return _pickle.dumps(s)


class _restricted_pickle(_raw_pickle):
    def _loads(self, s: bytes) -> Any:
        return RestrictedUnpickler(BytesIO(s)).load()


class RestrictedUnpickler(_pickle.Unpickler):
    """Unpickles plain values and instances of the classes in `ALLOWED_CLASSES`, and no others."""

    #: ``(module, name)`` of each class that may be built; add your own.
    ALLOWED_CLASSES: set[tuple[str, str]] = {
        *(("builtins", name) for name in ("set", "frozenset", "bytearray", "complex", "range")),
        *(("datetime", name) for name in ("datetime", "date", "time", "timedelta", "timezone")),
        ("decimal", "Decimal"),
        ("uuid", "UUID"),
        ("collections", "OrderedDict"),
        ("collections", "deque"),
    }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in self.ALLOWED_CLASSES:
            raise _pickle.UnpicklingError(f"{module_name}.{global_name} may not be unpickled")
        return super().find_class(module_name, global_name)


def pickle() -> Codec:
    """Return the pickle codec, wrapped in Base64.

    Unpickling runs whatever code the bytes name: only for topics to which nobody else can write.
    """
    warnings.warn(
        "the pickle codec executes code found in messages: use json, or pickle_restricted",
        SecurityWarning,
        stacklevel=2,
    )
    return _raw_pickle() | binary()


def pickle_restricted() -> Codec:
    """Return a pickle codec, wrapped in Base64, that builds only allow-listed classes."""
    return _restricted_pickle() | binary()


#: Codecs by name: an instance, or what makes one when it is first named.
codecs: dict[str, CodecProto | Callable[[], CodecProto]] = {
    "json": json(),
    "raw": raw(),
    "binary": binary(),
    "gzip": gzip(),
    "yaml": yaml,
    "pickle": pickle,
    "pickle_restricted": pickle_restricted,
}


def register(name: str, codec: CodecProto) -> None:
    """Make a codec known by name; one that has the name already is replaced."""
    if "|" in name or not name.strip():
        raise ValueError(f"a codec cannot be named {name!r}")
    codecs[name] = codec


def get_codec(name_or_codec: CodecArg) -> CodecProto:
    """Return a codec by name (``"json"``, ``"json|gzip"``); a codec is returned as it is.

    Raises:
        UnknownCodec: There is none of that name; it says which there are.
    """
    if not name_or_codec:
        return Codec()
    if not isinstance(name_or_codec, str):
        return name_or_codec
    names = [name.strip() for name in name_or_codec.split("|")]
    if len(names) == 1:
        return _by_name(names[0])
    return reduce(_piped, map(_by_name, names))


def _piped(left: CodecProto, right: CodecProto) -> CodecProto:
    return cast(CodecProto, cast(Any, left) | right)


def _by_name(name: str) -> CodecProto:
    if name not in codecs:
        announced = _announced().get(name)
        if announced is None:
            raise UnknownCodec(_unknown(name))
        codecs[name] = announced.load()
    codec = codecs[name]
    if isinstance(codec, type) or not isinstance(codec, CodecProto):
        # What makes one: not kept, so that a codec that warns does so wherever it is named.
        codec = codec()
    return cast(CodecProto, codec)


def _announced() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def _unknown(name: str) -> str:
    known = sorted({*codecs, *_announced()})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"there is no codec named {name!r}{hint} (there are: {', '.join(known)})"


def dumps(codec: CodecArg, obj: Any) -> bytes:
    """Encode with a codec or the one of that name; without any, return ``obj`` as it is."""
    return get_codec(codec).dumps(obj) if codec else cast(bytes, obj)


def loads(codec: CodecArg, s: bytes) -> Any:
    """Decode with a codec or the one of that name; without any, return ``s`` as it is."""
    return get_codec(codec).loads(s) if codec else s
