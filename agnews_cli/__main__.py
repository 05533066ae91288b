"""`python -m agnews_cli` is the same as `agnews`."""

from agnews_cli.cli.main import main

if __name__ == "__main__":
    main()
