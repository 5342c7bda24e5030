"""What a broker URL means: one driver for each scheme."""
