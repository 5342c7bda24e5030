"""What moves: each file is the one owner of one job."""
