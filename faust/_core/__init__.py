"""Time and concurrency; knows nothing of Kafka or of apps."""
