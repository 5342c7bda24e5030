"""What applications and plug-ins test themselves with: clocks, brokers, conformance suites."""
