"""``python -m faust``: the ``faust`` program."""

from faust.cli.faust import main

if __name__ == "__main__":
    main()
