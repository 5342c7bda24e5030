"""Who gets what: the assignment of tasks to workers, as they tell each other."""

from faust.assignor.partition_assignor import Assignment, MemberInfo, PartitionAssignor

__all__ = ["Assignment", "MemberInfo", "PartitionAssignor"]
