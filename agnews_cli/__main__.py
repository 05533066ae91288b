"""`agnews`, and `python -m agnews_cli`, which is the same."""

from agnews_cli import start


def run() -> None:
    """The command line of a process of its own; always ends in SystemExit."""
    with start.unsearched():
        from agnews_cli.cli.main import main

        main()


if __name__ == "__main__":
    run()
