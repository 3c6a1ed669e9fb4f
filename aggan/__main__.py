"""`python -m aggan`."""

from aggan.cli.main import main

if __name__ == "__main__":
    main()
