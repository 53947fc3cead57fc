"""Run the command with ``python -m skdrfm``."""

from skdrfm.cli import main

if __name__ == "__main__":
    main(prog_name="skdrfm")
