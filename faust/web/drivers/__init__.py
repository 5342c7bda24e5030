"""What listens: one module for each server library."""
