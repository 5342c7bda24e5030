"""Where tables keep their committed state on this machine."""
