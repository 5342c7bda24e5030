"""What can be wrong with a Kafka of our own."""


class KafkaUnavailable(Exception):
    """This machine cannot run Kafka: Java, Maven or the jars are missing.  One line."""


class KafkaStartError(Exception):
    """A node did not start; the message carries the end of its log."""
