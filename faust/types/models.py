"""Models and their fields."""

from __future__ import annotations

from faust._values.modelproto import ModelArg
from faust.models import FieldDescriptor as FieldDescriptorT
from faust.models import Model as ModelT
from faust.models import ModelOptions

__all__ = ["FieldDescriptorT", "ModelArg", "ModelOptions", "ModelT"]
