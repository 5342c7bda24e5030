"""What assigns partitions."""

from __future__ import annotations

from faust.assignor.partition_assignor import PartitionAssignor as PartitionAssignorT

__all__ = ["PartitionAssignorT"]
