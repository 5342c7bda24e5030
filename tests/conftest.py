from tests.support.kafka_fixture import kafka

__all__ = ["kafka"]
