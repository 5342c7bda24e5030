"""Who gets what: the assignment of tasks to workers, as they tell each other."""

from faust.assignor.leader_assignor import LeaderAssignor
from faust.assignor.partition_assignor import Assignment, MemberInfo, PartitionAssignor

__all__ = ["Assignment", "LeaderAssignor", "MemberInfo", "PartitionAssignor"]
