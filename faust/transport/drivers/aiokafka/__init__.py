"""Apache Kafka: the only importer of aiokafka (together with `faust.transport.records`)."""
