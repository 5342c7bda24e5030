"""Models: messages as classes with typed fields, decoded in C."""

from faust.models.base import Model, maybe_model, registry
from faust.models.fields import FieldDescriptor, StringField
from faust.models.options import ModelOptions
from faust.models.record import Record

__all__ = [
    "FieldDescriptor",
    "Model",
    "ModelOptions",
    "Record",
    "StringField",
    "maybe_model",
    "registry",
]
