"""Run the command as ``python -m w2s_utils.cli``."""

from w2s_utils.cli import main

if __name__ == "__main__":
    main()
