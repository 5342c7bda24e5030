"""What the library costs, measured side by side with its yardsticks on a real Kafka."""
