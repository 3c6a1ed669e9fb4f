"""`python -m aggan`."""

from aggan.cli import main

if __name__ == "__main__":
    main()
